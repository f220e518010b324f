// Numbered pieces of work on several threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace a4nn {

// Every thread, the caller's included, calls worker() once, and calls the function that it returns with each number
// below `count` that it takes. After an exception no more numbers are taken; the first one is rethrown here when all
// threads have finished their current pieces. If no more threads can be started, the existing ones do the work.
template <class Worker>
void in_parallel(std::size_t count, std::size_t threads, const Worker& worker) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    const auto take = [&]() noexcept {
        try {
            auto work = worker();
            for (std::size_t i = next++; i < count; i = next++) work(i);
        } catch (...) {
            next = count;
            const std::scoped_lock hold(mutex);
            if (!failure) failure = std::current_exception();
        }
    };
    {
        std::vector<std::jthread> helpers;
        try {
            for (std::size_t t = 1; t < threads && t < count; ++t) helpers.emplace_back(take);
        } catch (const std::system_error&) {  // no more threads can be started
        }
        take();
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace a4nn
