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
      const bool whole = limit != "avx512" && __builtin_cpu_supports("avx512vnni")
                         && __builtin_cpu_supports("avx512bf16");
      return whole ? kAvx512Bf16 : kAvx512;
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

// A whole batch, and its heads one by one.
struct Batch {
  Batch(const Attributes& attributes, MXTensor& input, MXTensor& valid)
      : T(input.shape[0]), N(input.shape[1]),
        H(static_cast<int64_t>(number(attributes, "heads", 1))), D(input.shape[2] / (3 * H)),
        query_key_value(input.data<float>()), lengths(valid.data<float>()) {}

  // context or its gradient and that of the input are set where they are wanted.
  Attention head(int64_t sequence, int64_t number) const {
    const int64_t task = sequence * H + number;
    Attention a{};
    a.D = D;
    a.stride = N * H * 3 * D;
    a.output_stride = N * H * D;
    a.length = std::min(T, std::max<int64_t>(0, static_cast<int64_t>(lengths[sequence])));
    a.input = query_key_value + task * 3 * D;
    a.output = context ? context + task * D : nullptr;
    a.gradient = gradient ? gradient + task * D : nullptr;
    a.input_gradient = input_gradient ? input_gradient + task * 3 * D : nullptr;
    a.dropped = dropped;
    a.seed = seed + 0x9e3779b97f4a7c15ULL * task;
    return a;
  }

  int64_t T, N, H, D;
  const float *query_key_value, *lengths;
  float* context = nullptr;
  const float* gradient = nullptr;
  float* input_gradient = nullptr;
  float dropped = 0;
  uint64_t seed = 0;
};

void clear_padding(float* rows, int64_t stride, int64_t begin, int64_t end, int64_t count) {
  for (int64_t t = begin; t < end; ++t) {
    std::fill_n(rows + t * stride, count, 0.0f);
  }
}

void run(const Batch& batch) {
  const int64_t space = backend().attention_space(batch.T, batch.D);
#pragma omp parallel
  {
    std::vector<float> own(space);
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < batch.N * batch.H; ++task) {
      const Attention a = batch.head(task / batch.H, task % batch.H);
      if (batch.gradient) {
        backend().attention_backward(a, own.data());
        clear_padding(a.input_gradient, a.stride, a.length, batch.T, 3 * a.D);
      } else {
        backend().attention_forward(a, own.data());
        clear_padding(a.output, a.output_stride, a.length, batch.T, a.D);
      }
    }
  }
}

MXReturnValue forward(const Attributes& attributes, std::vector<MXTensor>* in,
                      std::vector<MXTensor>* out, const OpResource& resource) {
  Batch batch(attributes, in->at(0), in->at(1));
  batch.context = out->at(0).data<float>();
  int64_t* drawn = out->at(1).data<int64_t>();
  drawn[0] = drawn[1] = 0;
  const float dropped = number(attributes, "p", 0);
  if (dropped > 0 && is_training(in->at(2))) {
    batch.dropped = dropped;
    batch.seed = draw_seed(resource);
    drawn[0] = static_cast<int64_t>(batch.seed);
    drawn[1] = 1;
  }
  run(batch);
  return MX_SUCCESS;
}

// inputs: dcontext, ddrawn, query_key_value, lengths, mode, context, drawn
// outputs: dquery_key_value, dlengths, dmode
MXReturnValue backward(const Attributes& attributes, std::vector<MXTensor>* in,
                       std::vector<MXTensor>* out, const OpResource&) {
  Batch batch(attributes, in->at(2), in->at(3));
  batch.gradient = in->at(0).data<float>();
  batch.input_gradient = out->at(0).data<float>();
  const int64_t* drawn = in->at(6).data<int64_t>();
  batch.seed = static_cast<uint64_t>(drawn[0]);
  batch.dropped = drawn[1] ? number(attributes, "p", 0) : 0;
  std::fill_n(out->at(1).data<float>(), batch.N, 0.0f);
  *out->at(2).data<float>() = 0;
  run(batch);
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
