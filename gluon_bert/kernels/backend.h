// What is compiled for each kind of processor.
#ifndef GLUON_BERT_BACKEND_H_
#define GLUON_BERT_BACKEND_H_

#include <cstdint>

// Self-attention of T tokens of N sequences with H heads of D units.
struct Attention {
  const float* query_key_value;  // (T, N, H, 3, D)
  const float* lengths;          // (N,) valid tokens
  float* context;                // (T, N, H, D); 0 beyond them
  const float* gradient;         // as context, in the backward pass
  float* input_gradient;         // as query_key_value
  int64_t T, N, H, D;
  float dropped;                 // probability with which a weight is dropped
  uint64_t seed;                 // of what is dropped, the same in both passes
};

struct Backend {
  const char* name;
  // How many floats attention needs to work in, for one head of one sequence.
  int64_t (*attention_space)(int64_t T, int64_t D);
  void (*attention_forward)(const Attention&, int64_t sequence, int64_t head, float* space);
  void (*attention_backward)(const Attention&, int64_t sequence, int64_t head, float* space);
};

extern const Backend kGeneric;
#ifdef __x86_64__
extern const Backend kAvx2, kAvx512;
#endif

// The fastest that runs here.
const Backend& backend();

#endif  // GLUON_BERT_BACKEND_H_
