// The forward pass of one encoder layer, and of the embeddings, over rows of valid tokens. Included
// by encoder.cc.
#ifndef GLUON_BERT_ENCODER_LAYER_H_
#define GLUON_BERT_ENCODER_LAYER_H_

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "backend.h"
#include "encoder.h"
#include "thread_group.h"

namespace {

constexpr int64_t kStep = 336;  // rows that finish a layer at a time

// True if only the output of the first token of each sequence is needed from a layer.
bool first_token_only(const Encoder& e, const Batch& b, const EncoderLayer& layer) {
  return !b.sequence && &layer == &e.layers.back();
}

// Add the squares of the inputs of a layer's dense layer number `part` to the running totals.
void add_squares(const Batch& b, const Encoder& e, const EncoderLayer& layer, int part,
                 const float* x, int64_t ldx, int64_t rows, int64_t in) {
  if (b.squares) {
    double* squares = b.squares[4 * (&layer - e.layers.data()) + part];
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t k = 0; k < in; ++k) {
        squares[k] += static_cast<double>(x[r * ldx + k]) * x[r * ldx + k];
      }
    }
  }
}

void add_norm(const Norm& norm, const float* x, const float* residual, int64_t rows,
              int64_t stride, float* y, const ThreadGroup& group) {
  for (int64_t r = group.begin(rows); r < group.end(rows); ++r) {
    backend().add_norm(norm, x + r * stride, residual + r * stride, y + r * stride);
  }
  group.barrier();
}

// Write the normalised embeddings of the sequences from `from` to `to` to hidden.
void embed(const Encoder& e, const Batch& b, int64_t from, int64_t to, const Workspace& s,
           const ThreadGroup& group) {
  const int64_t top = b.row_offsets[from];
  int64_t sequence = from;
  for (int64_t r = group.begin(b.row_offsets[to] - top); r < group.end(b.row_offsets[to] - top);
       ++r) {
    const int64_t row = top + r;
    while (row >= b.row_offsets[sequence + 1]) {
      ++sequence;
    }
    const float* word = e.word_embeddings + b.ids[row] * e.units;
    const float* type = e.type_embeddings ? e.type_embeddings + b.types[row] * e.units : nullptr;
    float* sum = s.tmp.get() + r * s.stride;
    for (int64_t i = 0; i < e.units; ++i) {
      sum[i] = word[i] + (type ? type[i] : 0.0f);
    }
    backend().add_norm(e.norm, sum,
                       e.position_embeddings + (row - b.row_offsets[sequence]) * e.units,
                       s.hidden.get() + r * s.stride);
  }
  group.barrier();
}

// Run attention for one head of one sequence, whose first row is `row` of s. input: its queries,
// keys and values.
void attend_head(const Encoder& e, const Batch& b, const EncoderLayer& layer, int64_t row,
                 int64_t length, int64_t head, const float* input, int64_t stride,
                 const Workspace& s, float* attention_scratch) {
  Attention a{};
  a.D = e.units / e.heads;
  a.length = length;
  a.queries = first_token_only(e, b, layer) ? 1 : length;
  a.in_bfloat16 = layer.query_key_value.get().precision != Precision::kFloat32;
  a.stride = stride;
  a.output_stride = s.stride;
  a.input = input;
  a.output = s.context.get() + row * s.stride + head * a.D;
  backend().attention_forward(a, attention_scratch);
}

// The panels of a dense layer from number `begin` on, as a layer.
Dense panels_from(Dense dense, int64_t begin) {
  const int64_t column = begin * backend().columns;
  dense.out -= column;
  dense.panels = static_cast<const uint32_t*>(dense.panels) + column * dense.words;
  dense.bias += column;
  dense.scales += column;
  dense.column_sums += column;
  return dense;
}

// The number of heads whose queries, keys and values together fill complete panels.
int64_t heads_at_a_time(const Encoder& e) {
  const int64_t size = 3 * e.units / e.heads;
  const int64_t count = backend().columns / std::gcd(size, backend().columns);
  return e.heads % count == 0 ? count : e.heads;
}

// Project and attend the sequences from `begin` to `end`, a few heads at a time, so that their
// queries, keys and values are still in the cache when attention reads them.
void attend_by_heads(const Encoder& e, const Batch& b, const EncoderLayer& layer, int64_t from,
                     int64_t begin, int64_t end, const Input& input, const Workspace& s,
                     float* attention_scratch, const ThreadGroup& group) {
  const Dense& dense = layer.query_key_value.get();
  const int64_t D = e.units / e.heads, count = heads_at_a_time(e);
  const int64_t width = pad_columns(3 * D * count), panels = width / backend().columns;
  const int64_t top = b.row_offsets[begin] - b.row_offsets[from];
  const int64_t rows = b.row_offsets[end] - b.row_offsets[begin];
  float* heads = s.ffn_buffer.get() + group.rank * s.rows * width;
  for (int64_t part = group.rank; part < e.heads / count; part += group.size) {
    run_panels(panels_from(dense, part * panels), kNone, input, top, rows, 0, panels, heads,
               width);
    for (int64_t n = begin; n < end; ++n) {
      const int64_t row = b.row_offsets[n] - b.row_offsets[begin];
      for (int64_t i = 0; i < count; ++i) {
        attend_head(e, b, layer, top + row, b.row_offsets[n + 1] - b.row_offsets[n],
                    part * count + i, heads + row * width + i * 3 * D, width, s,
                    attention_scratch);
      }
    }
  }
}

// Run the self-attention of a layer, from hidden to context.
void self_attention(const Encoder& e, const Batch& b, const EncoderLayer& layer, int64_t from,
                    int64_t to, const Workspace& s, float* attention_scratch,
                    const ThreadGroup& group) {
  const Dense& dense = layer.query_key_value.get();
  const int64_t rows = b.row_offsets[to] - b.row_offsets[from];
  if (e.heads / heads_at_a_time(e) % group.size == 0) {
    const Input input = convert_rows(dense, s.hidden.get(), s.stride, rows, s.converted, group);
    const int64_t max_rows = rows_at_a_time(dense.precision, kStep);
    for (int64_t begin = from, end; begin < to; begin = end) {
      end = begin + 1;
      while (end < to && b.row_offsets[end + 1] - b.row_offsets[begin] <= max_rows) {
        ++end;
      }
      attend_by_heads(e, b, layer, from, begin, end, input, s, attention_scratch, group);
    }
  } else {
    run_dense(dense, kNone, s.hidden.get(), s.stride, rows, s.ffn_buffer.get(), s.ffn_stride,
              s.converted, group);
    for (int64_t task = group.rank; task < (to - from) * e.heads; task += group.size) {
      const int64_t n = from + task / e.heads, head = task % e.heads;
      const int64_t row = b.row_offsets[n] - b.row_offsets[from];
      attend_head(e, b, layer, row, b.row_offsets[n + 1] - b.row_offsets[n], head,
                  s.ffn_buffer.get() + row * s.ffn_stride + head * 3 * (e.units / e.heads),
                  s.ffn_stride, s, attention_scratch);
    }
  }
  group.barrier();
}

// Move the row of each sequence's first token to the front of hidden and context.
void gather_first_tokens(const Batch& b, int64_t from, int64_t to, const Workspace& s,
                         const ThreadGroup& group) {
  if (group.rank == 0) {
    for (int64_t n = from; n < to; ++n) {
      const int64_t row = b.row_offsets[n] - b.row_offsets[from];
      std::copy_n(s.hidden.get() + row * s.stride, s.stride,
                  s.hidden.get() + (n - from) * s.stride);
      std::copy_n(s.context.get() + row * s.stride, s.stride,
                  s.context.get() + (n - from) * s.stride);
    }
  }
  group.barrier();
}

// Finish a layer for `rows` rows from `top` on: the output projection of attention and the
// feed-forward layer, each with residual and norm. Reads context and hidden, writes hidden.
// Intermediate results go to tmp and ffn_buffer, from row `scratch_row` on.
void finish_layer(const Encoder& e, const Batch& b, const EncoderLayer& layer, int64_t top,
                  int64_t rows, int64_t scratch_row, const Workspace& s,
                  const ThreadGroup& group) {
  float *hidden = s.hidden.get() + top * s.stride, *context = s.context.get() + top * s.stride,
        *tmp = s.tmp.get() + scratch_row * s.stride,
        *ffn_buffer = s.ffn_buffer.get() + scratch_row * s.ffn_stride;
  const auto run = [&](const DenseLayer& dense, Activation activation, const float* x, int64_t ldx,
                       float* y, int64_t ldy) {
    run_dense(dense.get(), activation, x, ldx, rows, y, ldy, s.converted, group, scratch_row);
  };
  add_squares(b, e, layer, 1, context, s.stride, rows, e.units);
  run(layer.output, kNone, context, s.stride, tmp, s.stride);
  add_norm(layer.attention_norm, tmp, hidden, rows, s.stride, hidden, group);
  add_squares(b, e, layer, 2, hidden, s.stride, rows, e.units);
  run(layer.expand, e.activation, hidden, s.stride, ffn_buffer, s.ffn_stride);
  add_squares(b, e, layer, 3, ffn_buffer, s.ffn_stride, rows, e.hidden_size);
  run(layer.contract, kNone, ffn_buffer, s.ffn_stride, tmp, s.stride);
  add_norm(layer.output_norm, tmp, hidden, rows, s.stride, hidden, group);
}

}  // namespace

#endif  // GLUON_BERT_ENCODER_LAYER_H_
