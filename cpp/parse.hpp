// The small language of parametric functions: numbers, parameters, the epoch (n or x), + - * / ** ^, parentheses,
// exp, log, sqrt and tanh. Nothing in it can run a program or name anything else.
#pragma once

#include <cctype>
#include <charconv>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "graph.hpp"

namespace a4nn {

// What is wrong with an expression and where: position counts characters from 1.
class ExpressionError : public std::invalid_argument {
  public:
    ExpressionError(const std::string& what, std::size_t offset)
        : std::invalid_argument(what + " at position " + std::to_string(offset + 1)), position(offset + 1) {}
    std::size_t position;
};

struct Expression {
    Graph graph;
    int root = -1;
    std::vector<std::string> parameters;
};

class Parser {
    // Limits on the cost of parsing a text; no curve function comes near them.
    static constexpr std::size_t max_characters = 1000;
    static constexpr int max_depth = 200;

  public:
    // parameters: names in order; if empty, they are taken in order of appearance.
    Parser(std::string_view text, std::vector<std::string> parameters) : text_(text), open_(parameters.empty()) {
        result_.parameters = std::move(parameters);
        if (result_.parameters.size() > max_parameters)
            throw std::invalid_argument("more than " + std::to_string(max_parameters) + " parameters");
        if (text.size() > max_characters)
            throw std::invalid_argument("an expression longer than " + std::to_string(max_characters) + " characters");
    }

    Expression parse() {
        result_.root = sum();
        skip();
        if (at_ < text_.size()) fail("unexpected '" + std::string(1, text_[at_]) + "'");
        return std::move(result_);
    }

  private:
    [[noreturn]] void fail(const std::string& what) const { throw ExpressionError(what, at_); }
    void skip() {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    }
    bool take(std::string_view token) {
        skip();
        if (text_.substr(at_, token.size()) != token) return false;
        at_ += token.size();
        return true;
    }
    Graph& g() { return result_.graph; }

    int sum() {
        int left = product();
        for (;;) {
            if (take("+")) left = g().add(left, product());
            else if (take("-")) left = g().sub(left, product());
            else return left;
        }
    }
    int product() {
        int left = signed_power();
        for (;;) {
            skip();
            if (text_.substr(at_, 2) != "**" && take("*")) left = g().mul(left, signed_power());
            else if (take("/")) left = g().div(left, signed_power());
            else return left;
        }
    }
    int signed_power() {
        const Depth depth(*this);
        if (take("-")) return g().neg(signed_power());
        if (take("+")) return signed_power();
        const int base = atom();
        if (take("**") || take("^")) return g().pow(base, signed_power());
        return base;
    }
    int atom() {
        skip();
        if (at_ >= text_.size()) fail("the expression ends too early");
        const char c = text_[at_];
        if (take("(")) {
            const Depth depth(*this);
            const int inner = sum();
            if (!take(")")) fail("a ')' is missing");
            return inner;
        }
        if (std::isdigit(static_cast<unsigned char>(c)) || c == '.') return number();
        if (std::isalpha(static_cast<unsigned char>(c)) || c == '_') return name();
        fail("unexpected '" + std::string(1, c) + "'");
    }
    int number() {
        double value = 0;
        const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
        if (error != std::errc()) fail("a number that cannot be read");
        at_ = static_cast<std::size_t>(end - text_.data());
        return g().constant(value);
    }
    int name() {
        const std::size_t start = at_;
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
        const std::string word(text_.substr(start, at_ - start));
        if (take("(")) return call(word, start);
        if (word == "n" || word == "x") return g().variable();
        for (std::size_t i = 0; i < result_.parameters.size(); ++i)
            if (result_.parameters[i] == word) return g().parameter(static_cast<int>(i));
        if (!open_ || is_function(word)) {
            at_ = start;
            fail(is_function(word) ? "the function '" + word + "' without an argument" : "unknown name '" + word + "'");
        }
        if (result_.parameters.size() == max_parameters) {
            at_ = start;
            fail("more than " + std::to_string(max_parameters) + " parameters");
        }
        result_.parameters.push_back(word);
        return g().parameter(static_cast<int>(result_.parameters.size()) - 1);
    }
    static bool is_function(const std::string& word) {
        return word == "exp" || word == "log" || word == "sqrt" || word == "tanh";
    }
    int call(const std::string& word, std::size_t start) {
        if (!is_function(word)) {
            at_ = start;
            fail("unknown function '" + word + "' (known: exp, log, sqrt, tanh)");
        }
        const Depth depth(*this);
        const int inner = sum();
        if (!take(")")) fail("a ')' is missing");
        if (word == "exp") return g().exp(inner);
        if (word == "log") return g().log(inner);
        if (word == "sqrt") return g().sqrt(inner);
        return g().tanh(inner);
    }

    // A limit on nesting, so that no text can exhaust the stack.
    struct Depth {
        explicit Depth(Parser& parser) : parser_(parser) {
            if (++parser_.depth_ > max_depth) parser_.fail("an expression nested too deeply");
        }
        ~Depth() { --parser_.depth_; }
        Depth(const Depth&) = delete;
        Depth& operator=(const Depth&) = delete;
        Parser& parser_;
    };

    std::string_view text_;
    bool open_;
    std::size_t at_ = 0;
    int depth_ = 0;
    Expression result_;
};

}  // namespace a4nn
