#define VECTOR_BYTES 16
constexpr int kRows = 8;  // of a tile, as many as the registers hold

#include "attention.h"

const Backend kGeneric = {"generic", attention_space, attention_forward, attention_backward};
