// Unit tests of the parts of a fit.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <thread>

#include "../batch.hpp"
#include "../fit.hpp"
#include "check.hpp"

namespace {

// How many allocations are still granted; none is refused while it is negative.
std::atomic<long> granted{-1};

}  // namespace

void* operator new(std::size_t size) {
    if (granted == 0) throw std::bad_alloc();
    if (granted > 0) --granted;
    if (void* const place = std::malloc(size)) return place;
    throw std::bad_alloc();
}
void operator delete(void* place) noexcept { std::free(place); }
void operator delete(void* place, std::size_t) noexcept { std::free(place); }

namespace {

const std::vector<double> curve{40, 55, 63, 70, 73, 76, 77, 78};

bool same(const a4nn::FitResult& a, const a4nn::FitResult& b) {
    return a.status == b.status && a.rms == b.rms && a.evaluations == b.evaluations &&
           std::equal(a.parameters, a.parameters + a4nn::max_parameters, b.parameters);
}

void a_gradient_is_the_slope_of_the_cost() {
    const auto x = epochs(8, 1);
    const std::vector<double> weights{1, 2, 0, 1, 1, 3, 1, 1};
    std::vector<a4nn::Range> held(4);
    held[0].upper = 70;  // below the best value without a bound
    std::vector<a4nn::Range> moving(3);
    moving[2].lower = 1;
    moving[2].upper = 2;  // b**c is held at a bound that moves with b
    const a4nn::Function functions[] = {published_default(),
                                        {"a - b**(c - x)", {"a", "b", "c"}, moving},
                                        {"a - b*exp(-c*x**d)", {}, {}},
                                        {"a - b*exp(-c*x**d)", {"a", "b", "c", "d"}, held},
                                        {"tanh(c*x)*d + a", {}, {}},
                                        {"exp(c*x) + a*x", {}, {}}};
    for (const a4nn::Function& function : functions)
        for (const auto& w : {std::vector<double>{}, weights}) {
            a4nn::Problem problem;
            CHECK(problem.set(function, x, curve, w));
            double u[a4nn::max_parameters] = {function.range(1).logarithmic() ? -0.7 : 1.5, 0.9};
            problem.cost_and_gradient(u);
            double gradient[a4nn::max_parameters];
            std::copy_n(problem.gradient(), problem.searched(), gradient);
            for (int k = 0; k < problem.searched(); ++k) {
                const double at = u[k], step = 1e-5;
                u[k] = at + step;
                const double above = problem.cost(u);
                u[k] = at - step;
                const double below = problem.cost(u);
                u[k] = at;
                CHECK(near(gradient[k], (above - below) / (2 * step), 1e-5));
            }
        }
}

void a_kept_point_costs_what_the_point_costs() {
    const auto x = epochs(8);
    const std::vector<double> other{90, 20, 63, 10, 73, 76, 1, 78};
    const a4nn::Function f = published_default();
    a4nn::Problem problem;
    for (double u : {-3.0, -1.0, 0.5}) {
        problem.set(f, x, curve, {});
        const a4nn::GridPoint kept = problem.factored(&u);
        const double before = problem.cost(&u);
        CHECK(near(problem.cost(kept), before, 1e-9));
        problem.set(f, x, other, {});
        CHECK(near(problem.cost(kept), problem.cost(&u), 1e-9));
    }
}

void an_objective_counts_and_keeps_the_best() {
    const auto x = epochs(8);
    const a4nn::Function f = published_default();
    a4nn::Problem problem;
    problem.set(f, x, curve, {});
    a4nn::Objective objective(problem, 3);
    CHECK(!objective.found() && !objective.exhausted());
    double least = a4nn::infinity, where = 0;
    for (double u : {-1.0, 0.0, -2.0}) {
        const double cost = objective.cost(&u);
        if (cost < least) least = cost, where = u;
    }
    CHECK(objective.exhausted() && objective.evaluations() == 3);
    CHECK(objective.best().cost == least && objective.best().u[0] == where);
}

void a_line_search_finds_the_minimum_of_its_bracket() {
    const auto x = epochs(8);
    const a4nn::Function f = published_default();
    a4nn::Problem problem;
    problem.set(f, x, curve, {});
    a4nn::Objective objective(problem, 100);
    a4nn::line_search(objective, {-3, -2, 1});
    const a4nn::Point best = objective.best();
    CHECK(best.u[0] > -3 && best.u[0] < 1 && objective.evaluations() < 20);
    for (double aside : {-1e-2, 1e-2}) {
        const double u = best.u[0] + aside;
        CHECK(problem.cost(&u) > best.cost);
    }
}

void levenberg_marquardt_says_how_it_ended() {
    const auto x = epochs(12);
    std::vector<double> y(12);
    for (std::size_t i = 0; i < 12; ++i) y[i] = 90 - 30 * std::exp(-0.2 * x[i]) - 20 * std::exp(-1.5 * x[i]);
    const a4nn::Function f("a - b*exp(-c*x) - d*exp(-e*x)", {}, {});
    a4nn::Problem problem;
    problem.set(f, x, y, {});
    const double start[] = {0.1, 3};
    a4nn::Objective objective(problem, 1000);
    CHECK(a4nn::levenberg_marquardt(objective, start, 1) == a4nn::Ended::at_limit);
    CHECK(a4nn::levenberg_marquardt(objective, start, 400) == a4nn::Ended::settled);
    CHECK(near(objective.best().u[0], 0.2, 1e-3) && near(objective.best().u[1], 1.5, 1e-3));
    // the minimum is known: no second search goes all the way to it
    const a4nn::Point known = objective.best();
    a4nn::Objective alone(problem, 1000), informed(problem, 1000);
    a4nn::levenberg_marquardt(alone, start, 400);
    a4nn::levenberg_marquardt(informed, start, 400, &known);
    CHECK(informed.evaluations() < alone.evaluations());
    // no minimum can be lower than this one
    const a4nn::Point lowest{-a4nn::infinity, {}};
    a4nn::Objective hopeless(problem, 1000);
    a4nn::levenberg_marquardt(hopeless, start, 400, &lowest);
    CHECK(hopeless.evaluations() == 1);
    a4nn::Objective capped(problem, 2);
    CHECK(a4nn::levenberg_marquardt(capped, start, 400) == a4nn::Ended::at_limit && capped.evaluations() == 2);
}

void robust_losses_bend_at_their_scale() {
    for (auto loss : {a4nn::Loss::squares, a4nn::Loss::huber, a4nn::Loss::soft_l1})
        for (double z : {0.01, 0.5, 0.999, 1.001, 4.0, 100.0}) {
            const double step = 1e-6 * z;
            const double slope = (a4nn::rho(loss, z + step).value - a4nn::rho(loss, z - step).value) / (2 * step);
            CHECK(near(a4nn::rho(loss, z).slope, slope, 1e-5));
        }
    CHECK(a4nn::rho(a4nn::Loss::squares, 9).value == 9);
    CHECK(a4nn::rho(a4nn::Loss::huber, 9).value == 5);
    CHECK(near(a4nn::rho(a4nn::Loss::soft_l1, 8).value, 4, 1e-15));
}

void every_piece_of_work_is_done_once() {
    for (std::size_t threads : {1, 2, 7}) {
        std::vector<std::atomic<int>> done(100);
        std::atomic<int> workers{0};
        a4nn::in_parallel(done.size(), threads, [&] {
            ++workers;
            return [&](std::size_t i) { ++done[i]; };
        });
        for (const auto& times : done) CHECK(times == 1);
        CHECK(workers >= 1 && workers <= static_cast<int>(threads));
    }
    a4nn::in_parallel(0, 4, [] { return [](std::size_t) { CHECK(false); }; });
}

void an_exception_of_a_thread_reaches_the_caller() {
    const auto caller = std::this_thread::get_id();
    std::atomic<bool> thrown{false};
    bool caught = false;
    try {
        a4nn::in_parallel(2, 2, [&] {
            return [&](std::size_t) {
                if (std::this_thread::get_id() == caller) {
                    thrown.wait(false);  // so that the other piece is the other thread's
                    return;
                }
                thrown = true;
                thrown.notify_all();
                throw std::runtime_error("of a thread");
            };
        });
    } catch (const std::runtime_error& error) {
        caught = std::string(error.what()) == "of a thread";
    }
    CHECK(caught);
}

void no_work_is_begun_after_an_exception() {
    // the pieces after it would take ten seconds
    constexpr std::size_t count = 10000;
    std::atomic<std::size_t> begun{0};
    bool caught = false;
    try {
        a4nn::in_parallel(count, 2, [&] {
            return [&](std::size_t i) {
                ++begun;
                if (i == 3) throw std::runtime_error("of one piece");
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            };
        });
    } catch (const std::runtime_error&) {
        caught = true;
    }
    CHECK(caught && begun < count);
}

void a_batch_is_its_single_fits() {
    const a4nn::Function one = published_default(), two("a + b*exp(-c*x)", {}, {});
    const a4nn::Function* const functions[] = {&one, &two};
    const double first[] = {0, 1};
    const std::span<const double> curves[] = {curve, std::span(curve).first(5), {}, std::span(curve).last(6)};
    for (std::size_t threads : {1, 3}) {
        std::vector<a4nn::FitResult> results(8);
        a4nn::fit_batch(functions, first, curves, {}, threads,
                        [&](std::size_t c, std::size_t f, const a4nn::FitResult& r) { results[2 * c + f] = r; });
        for (std::size_t c = 0; c < 4; ++c)
            for (std::size_t f = 0; f < 2; ++f) {
                const a4nn::FitResult single =
                    a4nn::Fitter().fit(*functions[f], epochs(curves[c].size(), first[f]), curves[c]);
                CHECK(same(results[2 * c + f], single) ||
                      (curves[c].empty() && results[2 * c + f].status == single.status));
            }
    }
}

// Whichever allocation of a fit fails, the fitter's next fit is as good as a new one's.
void a_fitter_survives_want_of_memory() {
    const auto x = epochs(8);
    const a4nn::Function f = published_default();
    const a4nn::FitResult expected = a4nn::Fitter().fit(f, x, curve);
    long failed = 0;
    for (bool through = false; !through;) {
        a4nn::Fitter fitter;
        granted = failed;
        try {
            fitter.fit(f, x, curve);
            through = true;
        } catch (const std::bad_alloc&) {
            ++failed;
        }
        granted = -1;
        CHECK(same(fitter.fit(f, x, curve), expected));
    }
    CHECK(failed > 20);
}

}  // namespace

void test_parts() {
    a_gradient_is_the_slope_of_the_cost();
    a_kept_point_costs_what_the_point_costs();
    an_objective_counts_and_keeps_the_best();
    a_line_search_finds_the_minimum_of_its_bracket();
    levenberg_marquardt_says_how_it_ended();
    robust_losses_bend_at_their_scale();
    every_piece_of_work_is_done_once();
    an_exception_of_a_thread_reaches_the_caller();
    no_work_is_begun_after_an_exception();
    a_batch_is_its_single_fits();
    a_fitter_survives_want_of_memory();
}
