// Choose the fastest backend that this processor runs.
#include <cstdlib>
#include <string>

#include "backend.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace {

// `limit`: the kind of processor that is not to be surpassed, empty for none.
const Backend& best_backend(const std::string& limit) {
  if (limit == "generic") {
    return kGeneric;
  }
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (limit != "avx2" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
      && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    const bool has_bf16 = limit != "avx512" && __builtin_cpu_supports("avx512vnni")
                       && __builtin_cpu_supports("avx512bf16");
    return has_bf16 ? kAvx512Bf16 : kAvx512;
  }
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? kAvx2 : kGeneric;
#elif defined(__aarch64__) && defined(__linux__)
  // HWCAP_ASIMDDP, and HWCAP2_I8MM with HWCAP2_BF16, which older headers lack.
  constexpr unsigned long kDotprod = 1ul << 20, kMatrices = 1ul << 13 | 1ul << 14;
  if (limit == "neon" || !(getauxval(AT_HWCAP) & kDotprod)) {
    return kNeon;
  }
  const bool has_bf16 = limit != "neon_dotprod" && (getauxval(AT_HWCAP2) & kMatrices) == kMatrices;
  return has_bf16 ? kNeonBf16 : kNeonDotprod;
#else
  return kGeneric;
#endif
}

}  // namespace

const Backend& backend() {
  static const Backend& best = [] () -> const Backend& {
    const char* chosen = std::getenv("GLUON_BERT_KERNELS");
    return best_backend(chosen ? chosen : "");
  }();
  return best;
}

extern "C" const char* gluon_bert_processor() { return backend().name; }
