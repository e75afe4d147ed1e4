// Choose the fastest backend that this processor runs.
#include <cstdlib>
#include <string>

#include "backend.h"

const Backend& backend() {
#if defined(__x86_64__)
  static const Backend& best = [] () -> const Backend& {
    const char* chosen = std::getenv("GLUON_BERT_KERNELS");
    const std::string limit = chosen ? chosen : "";
    __builtin_cpu_init();
    if (limit == "generic") {
      return kGeneric;
    }
    if (limit != "avx2" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
      const bool has_bf16 = limit != "avx512" && __builtin_cpu_supports("avx512vnni")
                         && __builtin_cpu_supports("avx512bf16");
      return has_bf16 ? kAvx512Bf16 : kAvx512;
    }
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? kAvx2 : kGeneric;
  }();
  return best;
#else
  return kGeneric;
#endif
}

extern "C" const char* gluon_bert_processor() { return backend().name; }
