// The operator gluon_bert_attention: self-attention over the valid tokens, with dropout.
#include <cstdlib>
#include <string>
#include <vector>

#include "backend.h"
#include "extension.h"

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
      return kAvx512;
    }
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? kAvx2 : kGeneric;
  }();
  return best;
#else
  return kGeneric;
#endif
}

namespace {

// inputs: query_key_value (T, N, 3C), lengths (N,), mode (1,); outputs: context (T, N, C), drawn:
// the seed of dropout, and whether there was any
MXReturnValue parse(const Attributes&, int* num_in, int* num_out) {
  *num_in = 3;
  *num_out = 2;
  return MX_SUCCESS;
}

MXReturnValue infer_type(const Attributes&, std::vector<int>* in, std::vector<int>* out) {
  std::fill(in->begin(), in->end(), kFloat32);
  out->at(0) = kFloat32;
  out->at(1) = kInt64;
  return MX_SUCCESS;
}

MXReturnValue infer_shape(const Attributes& attributes, std::vector<std::vector<unsigned>>* in,
                          std::vector<std::vector<unsigned>>* out) {
  const std::vector<unsigned>& input = in->at(0);
  const unsigned heads = static_cast<unsigned>(number(attributes, "heads", 1));
  if (input.size() != 3 || heads == 0 || input[2] % (3 * heads)) {
    return MX_FAIL;
  }
  in->at(1) = {input[1]};
  in->at(2) = {1};
  out->at(0) = {input[0], input[1], input[2] / 3};
  out->at(1) = {2};
  return MX_SUCCESS;
}

Attention describe(const Attributes& attributes, MXTensor& input, MXTensor& lengths) {
  Attention a{};
  a.query_key_value = input.data<float>();
  a.lengths = lengths.data<float>();
  a.T = input.shape[0];
  a.N = input.shape[1];
  a.H = static_cast<int64_t>(number(attributes, "heads", 1));
  a.D = input.shape[2] / (3 * a.H);
  return a;
}

void run(const Attention& a, void (*pass)(const Attention&, int64_t, int64_t, float*)) {
  const int64_t space = backend().attention_space(a.T, a.D);
#pragma omp parallel
  {
    std::vector<float> own(space);
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < a.N * a.H; ++task) {
      pass(a, task / a.H, task % a.H, own.data());
    }
  }
}

MXReturnValue forward(const Attributes& attributes, std::vector<MXTensor>* in,
                      std::vector<MXTensor>* out, const OpResource& resource) {
  Attention a = describe(attributes, in->at(0), in->at(1));
  a.context = out->at(0).data<float>();
  int64_t* drawn = out->at(1).data<int64_t>();
  drawn[0] = drawn[1] = 0;
  const float dropped = number(attributes, "p", 0);
  if (dropped > 0 && is_training(in->at(2))) {
    a.dropped = dropped;
    a.seed = draw_seed(resource);
    drawn[0] = static_cast<int64_t>(a.seed);
    drawn[1] = 1;
  }
  run(a, backend().attention_forward);
  return MX_SUCCESS;
}

// inputs: dcontext, ddrawn, query_key_value, lengths, mode, context, drawn
// outputs: dquery_key_value, dlengths, dmode
MXReturnValue backward(const Attributes& attributes, std::vector<MXTensor>* in,
                       std::vector<MXTensor>* out, const OpResource&) {
  Attention a = describe(attributes, in->at(2), in->at(3));
  a.gradient = in->at(0).data<float>();
  a.input_gradient = out->at(0).data<float>();
  const int64_t* drawn = in->at(6).data<int64_t>();
  a.seed = static_cast<uint64_t>(drawn[0]);
  a.dropped = drawn[1] ? number(attributes, "p", 0) : 0;
  std::fill_n(out->at(1).data<float>(), a.N, 0.0f);
  *out->at(2).data<float>() = 0;
  run(a, backend().attention_backward);
  return MX_SUCCESS;
}

}  // namespace

extern "C" const char* gluon_bert_processor() { return backend().name; }

REGISTER_OP(gluon_bert_attention)
    .setForward(forward, "cpu")
    .setBackward(backward, "cpu")
    .setParseAttrs(parse)
    .setInferType(infer_type)
    .setInferShape(infer_shape);
