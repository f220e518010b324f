// A parametric function ready to be fitted: its expression, its linear parameters, bounds and starts.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "machine.hpp"
#include "parse.hpp"
#include "range.hpp"
#include "separate.hpp"

namespace a4nn {

class Function {
  public:
    Function(const std::string& text, std::vector<std::string> names, std::vector<Range> ranges) {
        Expression parsed = Parser(text, std::move(names)).parse();
        names_ = parsed.parameters;
        ranges_ = std::move(ranges);
        ranges_.resize(names_.size());
        uses_variable_ = (parsed.graph.mask(parsed.root) & on_variable) != 0;
        std::vector<int> all(names_.size());
        for (std::size_t p = 0; p < all.size(); ++p) all[p] = static_cast<int>(p);
        whole_ = Program(parsed.graph, {parsed.root}, all);
        separated_ = Separator(parsed.graph, parsed.root, static_cast<int>(names_.size())).separate();
        std::vector<int> roots{separated_.offset};
        for (const Linear& linear : separated_.linear) roots.push_back(linear.column);
        for (const Linear& linear : separated_.linear) roots.push_back(linear.rate);
        reduced_ = Program(parsed.graph, roots, separated_.nonlinear);
        for (std::size_t p = 0; p < names_.size(); ++p) complete(p);
    }

    std::uint64_t id() const { return id_; }  // no two declarations share one; never 0
    const std::vector<std::string>& names() const { return names_; }
    const Range& range(int parameter) const { return ranges_[static_cast<std::size_t>(parameter)]; }
    const Separated& separated() const { return separated_; }
    const Program& whole() const { return whole_; }
    const Program& reduced() const { return reduced_; }
    bool uses_variable() const { return uses_variable_; }

  private:
    // Check a range; set the starts of a searched parameter that has none.
    void complete(std::size_t p) {
        Range& range = ranges_[p];
        if (!(range.lower < range.upper))
            throw std::invalid_argument("the bounds of " + names_[p] + " leave nothing between them");
        std::erase_if(range.starts, [&](double s) {
            return !(s >= range.lower && s <= range.upper) ||
                   (range.logarithmic() && (range.mirrored() ? !(s < range.origin) : !(s > range.origin)));
        });
        std::sort(range.starts.begin(), range.starts.end());
        if (range.starts.empty()) range.find_starts(separated_.nonlinear.size());
    }

    static std::uint64_t next_id() {
        static std::atomic<std::uint64_t> count{0};
        return ++count;
    }

    std::uint64_t id_ = next_id();
    std::vector<std::string> names_;
    std::vector<Range> ranges_;
    bool uses_variable_ = false;
    Separated separated_;
    Program whole_, reduced_;
};

}  // namespace a4nn
