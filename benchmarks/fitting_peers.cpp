// Compiled peers of the fitter on the same curves: MINPACK's lmder (cminpack), GSL's multifit_nlinear and Ceres'
// TinySolver, all with exact derivatives and without bounds, which none has. Built and run by fitting.py.
// Input: a line a curve, its length and its values. Output: a line a fit: function peer microseconds rms.
#include <ceres/tiny_solver.h>
#include <cminpack.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit_nlinear.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <vector>

struct Curve {
    std::vector<double> x, y;
};

// Value and derivatives of the function at x for parameters p.
using Model = double (*)(double x, const double* p, double* d);

static double default_function(double x, const double* p, double* d) {
    const double power = std::pow(p[1], p[2] - x);
    d[0] = 1, d[1] = -(p[2] - x) * power / p[1], d[2] = -std::log(p[1]) * power;
    return p[0] - power;
}
static double pow3(double x, const double* p, double* d) {
    const double power = std::pow(x, p[1]);
    d[0] = power, d[1] = p[0] * power * std::log(x), d[2] = 1;
    return p[0] * power + p[2];
}
static double wbl4(double x, const double* p, double* d) {
    const double power = std::pow(x, p[3]), decay = std::exp(-p[2] * power);
    d[0] = 1, d[1] = -decay, d[2] = p[1] * decay * power, d[3] = p[1] * decay * p[2] * power * std::log(x);
    return p[0] - p[1] * decay;
}

static double exponential(double x, const double* p, double* d) {  // exp3, and expd3 in other letters
    const double power = std::exp(p[1] * x);
    d[0] = power, d[1] = p[0] * power * x, d[2] = 1;
    return p[0] * power + p[2];
}
static double pow2(double x, const double* p, double* d) {
    const double power = std::pow(x, p[1]);
    d[0] = power, d[1] = p[0] * power * std::log(x);
    return p[0] * power;
}
static double exp2(double x, const double* p, double* d) {
    const double power = std::exp(p[1] * x);
    d[0] = power, d[1] = p[0] * power * x;
    return p[0] * power;
}
static double pow4(double x, const double* p, double* d) {
    const double base = p[1] * x + p[2], power = std::pow(base, -p[3]);
    d[0] = 1, d[1] = p[3] * power / base * x, d[2] = p[3] * power / base, d[3] = std::log(base) * power;
    return p[0] - power;
}
static double exp4(double x, const double* p, double* d) {
    const double power = std::pow(x, p[2]), decay = std::exp(p[3] - p[1] * power);
    d[0] = 1, d[1] = decay * power, d[2] = decay * p[1] * power * std::log(x), d[3] = -decay;
    return p[0] - decay;
}
static double expp3(double x, const double* p, double* d) {
    const double base = x - p[2], power = std::pow(base, p[1]), value = std::exp(power);
    d[0] = 1, d[1] = -value * power * std::log(base), d[2] = value * p[1] * power / base;
    return p[0] - value;
}
static double vap3(double x, const double* p, double* d) {
    const double value = std::exp(p[0] + p[1] / x + p[2] * std::log(x));
    d[0] = value, d[1] = value / x, d[2] = value * std::log(x);
    return value;
}
static double mmf4(double x, const double* p, double* d) {
    const double power = std::pow(x, p[3]), sum = p[1] + power, value = (p[0] * p[1] + p[2] * power) / sum;
    d[0] = p[1] / sum, d[1] = (p[0] - value) / sum, d[2] = power / sum,
    d[3] = (p[2] - value) * power * std::log(x) / sum;
    return value;
}
static double loss(double x, const double* p, double* d) {
    const double power = std::pow(p[1], p[2] - x);
    d[0] = 1, d[1] = (p[2] - x) * power / p[1], d[2] = std::log(p[1]) * power;
    return p[0] + power;
}

// Starts as a user would choose them, from the last value, the drop from there to the first, and the first value.
using Start = void (*)(double last, double drop, double first, double* p);

struct Peer {
    const char* name;
    Model model;
    int parameters;
    double first;  // what the first epoch counts as
    Start start;
};

static const Peer peers[] = {
    {"default", default_function, 3, 0,
     [](double last, double drop, double, double* p) {
         p[0] = last, p[1] = 1.3, p[2] = std::log(drop) / std::log(1.3);
     }},
    {"pow2", pow2, 2, 1, [](double, double, double first, double* p) { p[0] = first, p[1] = 0.1; }},
    {"pow3", pow3, 3, 1, [](double last, double drop, double, double* p) { p[0] = -drop, p[1] = -0.5, p[2] = last; }},
    {"pow4", pow4, 4, 0,
     [](double last, double drop, double, double* p) { p[0] = last, p[1] = 0.5 / drop, p[2] = 1 / drop, p[3] = 1; }},
    {"exp2", exp2, 2, 0, [](double, double, double first, double* p) { p[0] = first, p[1] = 0.01; }},
    {"exp3", exponential, 3, 0,
     [](double last, double drop, double, double* p) { p[0] = -drop, p[1] = -0.3, p[2] = last; }},
    {"exp4", exp4, 4, 1,
     [](double last, double drop, double, double* p) { p[0] = last, p[1] = 0.3, p[2] = 1, p[3] = std::log(drop); }},
    {"expp3", expp3, 3, 0, [](double last, double, double, double* p) { p[0] = last + 3, p[1] = -0.3, p[2] = -0.1; }},
    {"expd3", exponential, 3, 0,
     [](double last, double drop, double, double* p) { p[0] = -drop, p[1] = -0.3, p[2] = last; }},
    {"vap3", vap3, 3, 1,
     [](double last, double, double, double* p) { p[0] = std::log(std::max(last, 1.0)), p[1] = -0.3, p[2] = 0.05; }},
    {"mmf4", mmf4, 4, 1,
     [](double last, double, double first, double* p) { p[0] = first, p[1] = 3, p[2] = last, p[3] = 1; }},
    {"wbl4", wbl4, 4, 1,
     [](double last, double drop, double, double* p) { p[0] = last, p[1] = drop, p[2] = 0.3, p[3] = 1; }},
    {"loss", loss, 3, 0,
     [](double last, double drop, double, double* p) {
         p[0] = last, p[1] = 1.3, p[2] = std::log(drop) / std::log(1.3);
     }},
};

struct Problem {
    const Peer* peer;
    const Curve* curve;
};

static double minpack(const Problem& problem, double* p) {
    const int m = static_cast<int>(problem.curve->y.size()), n = problem.peer->parameters;
    static std::vector<double> f, jac, qtf, w1, w2, w3, w4, diag;
    static std::vector<int> pivots;
    f.resize(m), jac.resize(m * n), qtf.resize(n), w1.resize(n), w2.resize(n), w3.resize(n), w4.resize(m),
        diag.resize(n), pivots.resize(n);
    int nfev = 0, njev = 0;
    const auto call = [](void* data, int m, int n, const double* p, double* f, double* jac, int stride, int flag) {
        const auto& [peer, curve] = *static_cast<const Problem*>(data);
        double d[4];
        for (int i = 0; i < m; ++i) {
            const double value = peer->model(curve->x[i], p, d);
            if (flag == 1) f[i] = value - curve->y[i];
            else
                for (int k = 0; k < n; ++k) jac[i + stride * k] = d[k];
        }
        return 0;
    };
    lmder(call, const_cast<Problem*>(&problem), m, n, p, f.data(), jac.data(), m, 1e-8, 1e-8, 0, 400, diag.data(), 1,
          100, 0, &nfev, &njev, pivots.data(), qtf.data(), w1.data(), w2.data(), w3.data(), w4.data());
    double square = 0;
    for (double r : f) square += r * r;
    return std::sqrt(square / m);
}

static double gsl(const Problem& problem, double* p) {
    const std::size_t m = problem.curve->y.size(), n = static_cast<std::size_t>(problem.peer->parameters);
    gsl_multifit_nlinear_parameters settings = gsl_multifit_nlinear_default_parameters();
    gsl_multifit_nlinear_workspace* work = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &settings, m, n);
    gsl_multifit_nlinear_fdf fdf{};
    fdf.f = [](const gsl_vector* p, void* data, gsl_vector* f) {
        const auto& [peer, curve] = *static_cast<const Problem*>(data);
        double d[4];
        for (std::size_t i = 0; i < curve->y.size(); ++i)
            gsl_vector_set(f, i, peer->model(curve->x[i], p->data, d) - curve->y[i]);
        return 0;
    };
    fdf.df = [](const gsl_vector* p, void* data, gsl_matrix* jac) {
        const auto& [peer, curve] = *static_cast<const Problem*>(data);
        double d[4];
        for (std::size_t i = 0; i < curve->y.size(); ++i) {
            peer->model(curve->x[i], p->data, d);
            for (int k = 0; k < peer->parameters; ++k) gsl_matrix_set(jac, i, k, d[k]);
        }
        return 0;
    };
    fdf.n = m, fdf.p = n, fdf.params = const_cast<Problem*>(&problem);
    const gsl_vector_view begin = gsl_vector_view_array(p, n);
    int info = 0;
    gsl_multifit_nlinear_init(&begin.vector, &fdf, work);
    gsl_multifit_nlinear_driver(200, 1e-8, 1e-8, 0, nullptr, nullptr, &info, work);
    const gsl_vector* f = gsl_multifit_nlinear_residual(work);
    double square = 0;
    gsl_blas_ddot(f, f, &square);
    gsl_multifit_nlinear_free(work);
    return std::sqrt(square / static_cast<double>(m));
}

template <int parameters>
struct Residuals {
    using Scalar = double;
    enum { NUM_RESIDUALS = Eigen::Dynamic, NUM_PARAMETERS = parameters };
    Problem problem;
    int NumResiduals() const { return static_cast<int>(problem.curve->y.size()); }
    bool operator()(const double* p, double* f, double* jac) const {
        const auto& [peer, curve] = problem;
        const std::size_t m = curve->y.size();
        double d[4];
        for (std::size_t i = 0; i < m; ++i) {
            f[i] = peer->model(curve->x[i], p, d) - curve->y[i];
            if (jac)
                for (int k = 0; k < parameters; ++k) jac[i + m * static_cast<std::size_t>(k)] = d[k];
        }
        return true;
    }
};

template <int parameters>
static double tiny_solver_of(const Problem& problem, double* p) {
    static ceres::TinySolver<Residuals<parameters>> solver;  // its memory serves all fits
    solver.options.max_num_iterations = 200;
    solver.options.function_tolerance = 1e-8;
    Eigen::Matrix<double, parameters, 1> x(p);
    solver.Solve({problem}, &x);
    std::copy_n(x.data(), parameters, p);
    return std::sqrt(2 * solver.summary.final_cost / static_cast<double>(problem.curve->y.size()));
}

static double tiny_solver(const Problem& problem, double* p) {
    switch (problem.peer->parameters) {
        case 2: return tiny_solver_of<2>(problem, p);
        case 3: return tiny_solver_of<3>(problem, p);
        default: return tiny_solver_of<4>(problem, p);
    }
}

int main(int, char** argv) {
    gsl_set_error_handler_off();
    std::vector<Curve> curves;
    std::ifstream in(argv[1]);
    for (std::size_t count; in >> count;) {
        Curve curve;
        curve.x.resize(count), curve.y.resize(count);
        for (double& v : curve.y) in >> v;
        curves.push_back(curve);
    }
    for (const Peer& peer : peers)
        for (Curve& curve : curves) {
            for (std::size_t i = 0; i < curve.x.size(); ++i) curve.x[i] = peer.first + static_cast<double>(i);
            const Problem problem{&peer, &curve};
            for (const auto& [name, solve] :
                 {std::pair{"minpack", &minpack}, std::pair{"gsl", &gsl}, std::pair{"tinysolver", &tiny_solver}}) {
                double best = 1e300, rms = 0;
                for (int repeat = 0; repeat < 3; ++repeat) {
                    double p[4];
                    const double last = curve.y.back();
                    peer.start(last, std::max(std::abs(last - curve.y.front()), 1.0), curve.y.front(), p);
                    const auto begin = std::chrono::steady_clock::now();
                    rms = solve(problem, p);
                    best = std::min(
                        best,
                        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
                }
                std::printf("%s %s %.3f %.9g\n", peer.name, name, best, rms);
            }
        }
}
