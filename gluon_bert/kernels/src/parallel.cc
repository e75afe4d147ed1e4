#include "parallel.h"

#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>
#include <thread>

#include <omp.h>
#include <pthread.h>

namespace {

void run_region(int threads, const std::function<void(const ThreadGroup&)>& function) {
#pragma omp parallel num_threads(threads)
  function(ThreadGroup{omp_get_thread_num(), omp_get_num_threads()});
}

// A thread that runs tasks, one at a time, for the thread that made it.
class Proxy {
 public:
  Proxy() : thread_([this] { serve(); }) {}
  ~Proxy() {
    submit(nullptr);
    thread_.join();
  }
  void run(const std::function<void()>& task) {
    submit(&task);
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return done_; });
  }

 private:
  void submit(const std::function<void()>* task) {
    std::lock_guard<std::mutex> lock(mutex_);
    task_ = task;
    done_ = false;
    changed_.notify_all();
  }
  void serve() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return !done_; });
      if (!task_) {
        return;
      }
      (*task_)();
      done_ = true;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* task_ = nullptr;
  bool done_ = true;
  std::thread thread_;  // the last member: it uses the others
};

// True if this process was made by fork() and has run no other program since. Linux alone tells;
// elsewhere only forks after the kernels were loaded are known.
bool is_fork() {
  constexpr unsigned kForkedWithoutExec = 0x40;  // PF_FORKNOEXEC of Linux
  unsigned flags = 0;
  if (std::FILE* file = std::fopen("/proc/self/stat", "r")) {
    char line[1024];
    const size_t size = std::fread(line, 1, sizeof line - 1, file);
    std::fclose(file);
    line[size] = 0;
    const char* name_end = std::strrchr(line, ')');  // of "pid (name) state parent ..."
    if (!name_end || std::sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1) {
      flags = 0;
    }
  }
  return flags & kForkedWithoutExec;
}

bool forked = is_fork();
thread_local std::unique_ptr<Proxy> proxy;

void before_fork() { workspace_mutex().lock(); }
void after_fork_in_parent() { workspace_mutex().unlock(); }
void after_fork_in_child() {
  workspace_mutex().unlock();
  forked = true;
  (void)proxy.release();  // its thread is not in this process
}

const int registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);

}  // namespace

void run_parallel(int threads, const std::function<void(const ThreadGroup&)>& function) {
  if (threads == 1) {
    function(ThreadGroup());
    return;
  }
  if (!forked) {
    run_region(threads, function);
    return;
  }
  try {
    if (!proxy) {
      proxy = std::make_unique<Proxy>();
    }
  } catch (const std::system_error&) {  // no more threads: this one does all
    function(ThreadGroup());
    return;
  }
  proxy->run([&] { run_region(threads, function); });
}

int default_threads() { return omp_get_max_threads(); }

std::mutex& workspace_mutex() {
  static std::mutex mutex;
  return mutex;
}
