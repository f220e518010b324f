// Compiled peers of the fitter on the same curves: MINPACK's lmder (cminpack) and GSL's multifit_nlinear, both with
// exact derivatives and without bounds, which neither has. Built and run by fitting.py.
// Input: a line a curve, its length and its values. Output: a line a fit: function peer microseconds rms.
#include <cminpack.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit_nlinear.h>

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

struct Peer {
    const char* name;
    Model model;
    int parameters;
    double first;
};

// A start as a user would choose it: the plateau at the last value, the drop to the first, a middling rate.
static void start(const Peer& peer, const Curve& curve, double* p) {
    const double last = curve.y.back(), drop = std::max(last - curve.y.front(), 1.0);
    if (peer.model == default_function) p[0] = last, p[1] = 1.3, p[2] = std::log(drop) / std::log(1.3);
    else if (peer.model == pow3) p[0] = -drop, p[1] = -0.5, p[2] = last;
    else p[0] = last, p[1] = drop, p[2] = 0.3, p[3] = 1;
}

struct Problem {
    const Peer* peer;
    const Curve* curve;
};

static double minpack(const Problem& problem, double* p) {
    const int m = static_cast<int>(problem.curve->y.size()), n = problem.peer->parameters;
    static std::vector<double> f, jac, qtf, w1, w2, w3, w4, diag;
    static std::vector<int> pivots;
    f.resize(m), jac.resize(m * n), qtf.resize(n), w1.resize(n), w2.resize(n), w3.resize(n), w4.resize(m), diag.resize(n), pivots.resize(n);
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
    lmder(call, const_cast<Problem*>(&problem), m, n, p, f.data(), jac.data(), m, 1e-8, 1e-8, 0, 400, diag.data(), 1, 100,
          0, &nfev, &njev, pivots.data(), qtf.data(), w1.data(), w2.data(), w3.data(), w4.data());
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
    const Peer peers[] = {{"default", default_function, 3, 0}, {"pow3", pow3, 3, 1}, {"wbl4", wbl4, 4, 1}};
    for (const Peer& peer : peers)
        for (Curve& curve : curves) {
            for (std::size_t i = 0; i < curve.x.size(); ++i) curve.x[i] = peer.first + static_cast<double>(i);
            const Problem problem{&peer, &curve};
            for (const auto& [name, solve] : {std::pair{"minpack", &minpack}, std::pair{"gsl", &gsl}}) {
                double best = 1e300, rms = 0;
                for (int repeat = 0; repeat < 3; ++repeat) {
                    double p[4];
                    start(peer, curve, p);
                    const auto begin = std::chrono::steady_clock::now();
                    rms = solve(problem, p);
                    best = std::min(best, std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
                }
                std::printf("%s %s %.3f %.9g\n", peer.name, name, best, rms);
            }
        }
}
