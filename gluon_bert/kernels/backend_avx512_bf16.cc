#define VECTOR_BYTES 64
constexpr int kRows = 14;  // of a tile, as many as the registers hold

#include "attention.h"
#include "dense.h"

const Backend kAvx512Bf16 = {"avx512_bf16", kColumns, attention_space, attention_forward,
                             attention_backward, pack, convert, dense, add_norm};
