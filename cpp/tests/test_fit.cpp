// Unit tests and a fuzz of the header-only core; tools/test_cpp.sh builds them with sanitizers and runs them.
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>

#include "../fit.hpp"
#include "check.hpp"

namespace {

void exponentials_and_logarithms_are_exact() {
    for (double x = -700; x < 700; x += 0.37) CHECK(near(a4nn::exp_one(x) / std::exp(x), 1, 1e-15));
    CHECK(a4nn::exp_one(-1e9) == 0);
    CHECK(std::isinf(a4nn::exp_one(1e9)));
    CHECK(std::isnan(a4nn::exp_one(std::nan(""))));
    for (double x = -745; x < 709.7; x += 0.31) CHECK(near(a4nn::log_one(std::exp(x)), std::log(std::exp(x)), 2e-16));
    for (double x = -1e-3; x < 1e-3; x += 1.7e-6)
        CHECK(std::abs(a4nn::log_one(1 + x) - std::log(1 + x)) <= 2e-16 * std::abs(x));
    CHECK(a4nn::log_one(1) == 0);
    CHECK(a4nn::log_one(0) == -INFINITY);
    CHECK(a4nn::log_one(INFINITY) == INFINITY);
    CHECK(std::isnan(a4nn::log_one(-1)) && std::isnan(a4nn::log_one(-INFINITY)) &&
          std::isnan(a4nn::log_one(std::nan(""))));
    CHECK(a4nn::integer_power(2, 10) == 1024);
    CHECK(a4nn::integer_power(2, -2) == 0.25);
    CHECK(a4nn::integer_power(3, 0) == 1);
}

// A fit has the same bits on every processor: exp and log are the same with AVX2 and without.
#if defined(__x86_64__) && defined(__GNUC__)
#define A4NN_TEST_AVX2
[[gnu::target("avx2")]] void exp_and_log_avx2(const double* x, double* e, double* l, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) e[i] = a4nn::exp_one(x[i]);
    for (std::size_t i = 0; i < count; ++i) l[i] = a4nn::log_one(x[i]);
}
#endif

void a_newer_processor_gives_the_same_bits() {
    std::mt19937_64 random(1);
    std::vector<double> x{0, -0.0, 1, INFINITY, -INFINITY, 709, 709.1, -708, -708.1, 1e-310}, e, l, e2, l2;
    while (x.size() % 8 || x.size() < 40000)
        x.push_back(std::ldexp(static_cast<double>(random() >> 11) - 4e15, static_cast<int>(random() % 24) - 60));
    for (auto* out : {&e, &l, &e2, &l2}) out->resize(x.size());
    a4nn::exp_all(x.data(), e.data(), x.size());
    a4nn::log_all(x.data(), l.data(), x.size());
    const auto same = [&](double a, double b) {
        return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
    };
    for (std::size_t i = 0; i < x.size(); ++i)
        CHECK(same(e[i], a4nn::exp_one(x[i])) &&
              (std::isnan(l[i]) ? std::isnan(a4nn::log_one(x[i])) : same(l[i], a4nn::log_one(x[i]))));
#ifdef A4NN_TEST_AVX2
    if (!__builtin_cpu_supports("avx2")) return;
    exp_and_log_avx2(x.data(), e2.data(), l2.data(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
        CHECK(same(e[i], e2[i]) && (std::isnan(l[i]) ? std::isnan(l2[i]) : same(l[i], l2[i])));
#endif
}

void expressions_are_read() {
    const auto at = [](const char* text, double x) {
        const a4nn::Function f(text, {}, {});
        a4nn::Machine machine;
        const std::vector<double> points{x};
        machine.prepare(f.whole(), points);
        const double parameters[a4nn::max_parameters] = {2, 3, 5};
        machine.evaluate(parameters, false);
        const int root = f.whole().root(0);
        return machine.is_vector(root) ? machine.values(root)[0] : machine.number(root);
    };
    CHECK(at("a + b * x", 7) == 2 + 3 * 7);
    CHECK(at("-x**2", 3) == -9);                // power binds tighter than the sign
    CHECK(near(at("2**3**2", 0), 512, 1e-12));  // and to the right
    CHECK(at("a - b - c", 0) == 2 - 3 - 5);
    CHECK(at("12 / a / b", 0) == 2);
    CHECK(near(at("exp(log(a * x))", 4), 8, 1e-12));
    CHECK(near(at("sqrt(x) + tanh(0 * a)", 9), 3, 1e-12));
    CHECK(at("1.5e1 + .5", 0) == 15.5);
    for (const char* wrong : {"", "a +", "(a", "a)", "a b", "sin(a)", "exp", "1..2", "a ** ", "@"}) {
        bool refused = false;
        try {
            a4nn::Function(wrong, {}, {});
        } catch (const std::invalid_argument&) {
            refused = true;
        }
        CHECK(refused);
    }
}

void linear_parameters_are_found() {
    const auto linear = [](const char* text) {
        const a4nn::Function f(text, {}, {});
        std::string found;
        for (const auto& l : f.separated().linear) found += f.names()[static_cast<std::size_t>(l.parameter)];
        return found;
    };
    CHECK(linear("a - b**(c - x)") == "ac");
    CHECK(linear("a * exp(-b * x) + c") == "ac");
    CHECK(linear("(a * b + c * x**d) / (b + x**d)") == "ac");
    CHECK(linear("a * b * x").size() == 1);
    CHECK(linear("exp(a * x)").empty());
}

void the_default_recovers_its_parameters() {
    const a4nn::Function f = published_default();
    a4nn::Fitter fitter;
    for (double a : {60.0, 97.0})
        for (double b : {1.05, 1.4, 3.0})
            for (double c : {3.0, 12.0}) {
                const auto x = epochs(15);
                std::vector<double> y(15);
                for (std::size_t i = 0; i < 15; ++i) y[i] = a - std::pow(b, c - x[i]);
                const auto result = fitter.fit(f, x, y);
                CHECK(result.status == a4nn::Status::converged);
                CHECK(near(result.parameters[0], a, 1e-3));
                CHECK(near(result.parameters[1], b, 1e-3));
                CHECK(near(result.parameters[2], c, 1e-2));
            }
}

void every_outcome_has_a_word() {
    const a4nn::Function f = published_default();
    a4nn::Fitter fitter;
    const auto x = epochs(6);
    CHECK(fitter.fit(f, {}, {}).status == a4nn::Status::too_few_points);
    CHECK(fitter.fit(f, std::span(x).first(2), std::span(x).first(2)).status == a4nn::Status::too_few_points);
    const std::vector<double> bad{1, 2, std::nan(""), 4, 5, 6}, flat(6, 50.0), rising{1, 20, 40, 50, 55, 57};
    CHECK(fitter.fit(f, x, bad).status == a4nn::Status::not_finite);
    CHECK(a4nn::has_parameters(fitter.fit(f, x, flat).status));
    CHECK(fitter.fit(a4nn::Function("a * log(x) + b", {}, {}), x, rising).status == a4nn::Status::undefined);
    a4nn::FitOptions options;
    options.max_evaluations = 3;
    const auto stopped = fitter.fit(f, x, rising, {}, options);
    CHECK(stopped.status == a4nn::Status::evaluation_limit);
    CHECK(stopped.evaluations <= 3 + 2);
    for (std::size_t i = 0; i < a4nn::status_texts.size(); ++i)
        CHECK(static_cast<std::size_t>(a4nn::status_texts[i].status) == i);
}

// What a fitter caches for later fits never changes a result.
void earlier_fits_leave_no_trace() {
    const a4nn::Function f = published_default();
    const auto x = epochs(8);
    const std::vector<double> huge(8, 1e300), curve{40, 55, 63, 70, 73, 76, 77, 78}, weights{1, 0, 1, 1, 1, 1, 1, 1};
    a4nn::Fitter used, fresh;
    a4nn::FitOptions few;
    few.max_evaluations = 2;
    used.fit(f, x, huge);
    used.fit(f, x, curve, weights);
    used.fit(f, x, curve, {}, few);
    const auto a = used.fit(f, x, curve), b = fresh.fit(f, x, curve);
    CHECK(a.status == b.status && a.rms == b.rms && a.evaluations == b.evaluations);
    for (int p = 0; p < 3; ++p) CHECK(a.parameters[p] == b.parameters[p]);
}

// Fits with a cached grid agree with fits that evaluate its points; weights, even of one, disable the cache.
void kept_grids_change_nothing() {
    std::vector<a4nn::Range> bounded(3);
    bounded[0].upper = 60;
    bounded[1].lower = -5;
    const struct {
        a4nn::Function function;
        const char* text;
    } cases[] = {{{"a + b*exp(-c*x)", {}, {}}, "two columns"},
                 {{"a + b*exp(-c*x)", {"a", "b", "c"}, bounded}, "two columns with bounds"},
                 {{"3*x + a + b*exp(-c*x)", {}, {}}, "an offset that is fixed"},
                 {{"tanh(c*x) + a", {}, {}}, "an offset that is searched"},
                 {{"a*exp(-b*x) + c*exp(-d*x) + e", {}, {}}, "three columns, two searched"},
                 {{"a - b*exp(-c*x**d)", {}, {}}, "two searched"}};
    const auto x = epochs(12, 1);
    std::mt19937 random(3);
    for (const auto& [function, text] : cases) {
        a4nn::Fitter keeps, evaluates;
        for (int round = 0; round < 20; ++round) {
            std::vector<double> y(12), ones(12, 1.0);
            for (std::size_t i = 0; i < 12; ++i)
                y[i] = 80 - 50 * std::exp(-0.3 * x[i]) + static_cast<double>(random() % 1000) / 500;
            const auto cached = keeps.fit(function, x, y), evaluated = evaluates.fit(function, x, y, ones);
            if (!near(cached.rms, evaluated.rms, 1e-4))
                std::fprintf(stderr, "%s: %.9g against %.9g\n", text, cached.rms, evaluated.rms);
            CHECK(near(cached.rms, evaluated.rms, 1e-4));
            a4nn::FitOptions robust;
            robust.loss = a4nn::Loss::huber;
            const auto a = keeps.fit(function, x, y, {}, robust), b = evaluates.fit(function, x, y, ones, robust);
            CHECK(near(a.rms, b.rms, 1e-2));
        }
    }
}

// exp(50) times a column that differs from one by 1e-17 would fit anything: by rounding.
void rounding_is_no_fit() {
    a4nn::LinearSolver solver;
    solver.resize(2, 8);
    std::vector<double> columns(16, 1.0), target{0, 20, 4, 60, 8, 10, 12, 14};
    for (std::size_t i = 0; i < 8; ++i) columns[8 + i] = 1 - 1e-16 * static_cast<double>(i);
    const double lower[]{-INFINITY, 5e21}, upper[]{INFINITY, 1e22};
    CHECK(std::isinf(solver.solve(columns.data(), target.data(), lower, upper)));
}

void coefficients_stay_in_their_bounds() {
    a4nn::LinearSolver solver;
    solver.resize(2, 8);
    const std::vector<double> columns{1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 2, 3, 4, 5, 6, 7},
        target{0, 2, 4, 6, 8, 10, 12, 14};
    const double lower[]{-10, -10}, upper[]{10, 1.5};
    solver.solve(columns.data(), target.data(), lower, upper);
    CHECK(solver.coefficient[1] == 1.5);  // 2 without the bound
    CHECK(near(solver.coefficient[0], 1.75, 1e-12));
    CHECK(!solver.free[1] && solver.free[0]);
}

// Random curves and expressions: nothing crashes, every result is in bounds and no worse than reported.
void fuzz(unsigned seed, int rounds) {
    std::mt19937 random(seed);
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    const char* pieces[] = {"a",  "b", "c", "x", "n",    "1",    "2.5",   "0",     "-", "+",   "*", "/",
                            "**", "^", "(", ")", "exp(", "log(", "sqrt(", "tanh(", " ", "1e5", "d"};
    const std::function<std::string(int)> grow = [&](int depth) -> std::string {
        const char* leaves[] = {"a", "b", "c", "x", "2", "0.5"};
        if (depth == 0) return leaves[below(6)];
        const char* calls[] = {"exp", "log", "sqrt", "tanh"};
        const char* signs[] = {" + ", " - ", " * ", " / ", " ** "};
        if (below(3) == 0) return std::string(calls[below(4)]) + "(" + grow(depth - 1) + ")";
        return "(" + grow(depth - 1) + signs[below(5)] + grow(depth - 1) + ")";
    };
    a4nn::Fitter fitter;
    for (int round = 0; round < rounds; ++round) {
        std::string text;
        if (round % 2) text = grow(1 + below(4));
        else
            for (int i = below(12); i >= 0; --i) text += pieces[below(23)];
        const std::size_t count = static_cast<std::size_t>(below(20));
        const auto x = epochs(count, below(2));
        std::vector<double> y(count), weights;
        for (double& v : y) v = below(40) ? std::ldexp(below(2000) - 500, below(20) ? -4 : 60) : std::nan("");
        if (below(3) == 0)
            for (std::size_t i = 0; i < count; ++i) weights.push_back(below(3));
        try {
            const a4nn::Function f(text, {}, {});
            a4nn::FitOptions options;
            options.loss = static_cast<a4nn::Loss>(below(3));
            options.max_evaluations = 1 + below(300);
            const auto result = fitter.fit(f, x, y, weights, options);
            if (!a4nn::has_parameters(result.status)) continue;
            CHECK(!std::isnan(result.rms));
            CHECK(result.evaluations <= options.max_evaluations + 2);
            for (std::size_t p = 0; p < f.names().size(); ++p) CHECK(!std::isnan(result.parameters[p]));
        } catch (const std::invalid_argument&) {
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    test_parts();
    exponentials_and_logarithms_are_exact();
    a_newer_processor_gives_the_same_bits();
    expressions_are_read();
    linear_parameters_are_found();
    the_default_recovers_its_parameters();
    every_outcome_has_a_word();
    coefficients_stay_in_their_bounds();
    earlier_fits_leave_no_trace();
    kept_grids_change_nothing();
    rounding_is_no_fit();
    fuzz(argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 1, argc > 2 ? std::atoi(argv[2]) : 3000);
    if (failures) std::fprintf(stderr, "%d failures\n", failures);
    return failures != 0;
}
