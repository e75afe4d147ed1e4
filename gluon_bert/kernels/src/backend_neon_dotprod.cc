#define VECTOR_BYTES 16
#define USE_NEON 1
constexpr int kRows = 8;  // of a tile, as many as the registers hold

#include "adam.h"
#include "attention.h"
#include "dense.h"
#include "masked_words.h"
#include "norm.h"
#include "training_products.h"
#include "training_rows.h"

const Backend kNeonDotprod = {
    "neon_dotprod", kColumns, attention_scratch_size, attention_forward, attention_backward,
    raise_maxima, quantize, convert, dense, add_norm, drop, normalize, normalize_backward,
    activate_row, activate_backward, kRows, lay_out, lay_out_transposed, multiply_transposed,
    dense_narrow, sum_exponentials, scale_exponentials, adam, sum_of_squares, !kHasBFloat16};
