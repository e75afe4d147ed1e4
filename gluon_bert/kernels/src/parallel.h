// Threads that run a function together, in forked processes too.
#ifndef GLUON_BERT_PARALLEL_H_
#define GLUON_BERT_PARALLEL_H_

#include <cstdint>
#include <functional>
#include <mutex>

// Threads that work on the same rows.
struct ThreadGroup {
  int64_t rank = 0, size = 1;

  void barrier() const {
    if (size > 1) {
#pragma omp barrier
    }
  }
  // This thread's share of `count` items.
  int64_t begin(int64_t count) const { return count * rank / size; }
  int64_t end(int64_t count) const { return count * (rank + 1) / size; }
};

// Run a function on a group of at most `threads` threads, and wait for all of them.
//
// OpenMP remembers, for each thread that has used it, the threads it made. fork() copies that memory
// but not the threads, so that the process made by fork() would wait for them for ever. There a
// proxy, a thread made after the fork, uses OpenMP in place of the calling one.
void run_parallel(int threads, const std::function<void(const ThreadGroup&)>& function);

// The number of threads that OpenMP uses by default.
int default_threads();

// Guards the idle workspaces of all encoders: a fork waits until it is free, so that the new process
// finds them whole.
std::mutex& workspace_mutex();

#endif  // GLUON_BERT_PARALLEL_H_
