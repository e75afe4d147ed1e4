// A BERT encoder for inference: the forward pass over the valid tokens of a batch.
//
// Rows are the tokens of all sequences, one sequence after another, without padding. Weights are
// packed once. Each thread runs some sequences through all layers without waiting for the others;
// if sequences cannot be shared out evenly, all threads work on every sequence together.
//
// Letters: M rows, N sequences, C units, D features of a head.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "backend.h"
#include "encoder.h"
#include "encoder_layer.h"
#include "thread_group.h"

namespace {

constexpr int64_t kChunk = 1024;  // rows that a thread takes through all layers at a time
constexpr double kMaxImbalance = 1.05;  // maximum load of a thread relative to the mean

// Run the sequences from `from` to `to` from ids to outputs.
void encode(const Encoder& e, const Batch& b, int64_t from, int64_t to, const Workspace& s,
            float* attention_scratch, const ThreadGroup& group) {
  int64_t rows = b.row_offsets[to] - b.row_offsets[from];
  float *hidden = s.hidden.get(), *context = s.context.get();
  embed(e, b, from, to, s, group);
  for (const EncoderLayer& layer : e.layers) {
    add_squares(b, e, layer, 0, hidden, s.stride, rows, e.units);
    self_attention(e, b, layer, from, to, s, attention_scratch, group);
    if (first_token_only(e, b, layer)) {
      gather_first_tokens(b, from, to, s, group);
      rows = to - from;
    }
    if (rows < kRowSplitMin * group.size) {
      finish_layer(e, b, layer, 0, rows, 0, s, group);
      continue;
    }
    const int64_t step = rows_at_a_time(layer.expand.get().precision, kStep);
    const int64_t mine = group.end(rows) - group.begin(rows), steps = (mine + step - 1) / step;
    for (int64_t i = 0; i < steps; ++i) {
      const int64_t top = mine * i / steps, end = mine * (i + 1) / steps;
      finish_layer(e, b, layer, group.begin(rows) + top, end - top, group.begin(rows), s,
                   ThreadGroup());
    }
    group.barrier();
  }
  if (b.sequence) {
    for (int64_t r = group.begin(rows); r < group.end(rows); ++r) {
      std::copy_n(hidden + r * s.stride, e.units,
                  b.sequence + (b.row_offsets[from] + r) * e.units);
    }
    group.barrier();
    if (b.pooled) {
      gather_first_tokens(b, from, to, s, group);
    }
  }
  if (b.pooled) {
    run_dense(e.pooler->get(), e.pooler_activation, hidden, s.stride, to - from, context, s.stride,
              s.converted, group);
    for (int64_t n = group.begin(to - from); n < group.end(to - from); ++n) {
      std::copy_n(context + n * s.stride, e.units, b.pooled + (from + n) * e.units);
    }
    group.barrier();
  }
}

// Cut the batch into parts of complete sequences: the first sequence of each part, then N.
std::vector<int64_t> divide(const Encoder& e, const Batch& b, int64_t threads) {
  const int64_t N = static_cast<int64_t>(b.row_offsets.size()) - 1, M = b.row_offsets.back();
  const int64_t max_rows = rows_at_a_time(e.layers.front().expand.get().precision, kChunk);
  const int64_t size = std::max<int64_t>(1, std::min(max_rows, (M + threads - 1) / threads));
  std::vector<int64_t> parts = {0};
  for (int64_t n = 0; n < N; ++n) {
    if (b.row_offsets[n + 1] - b.row_offsets[parts.back()] > size && n > parts.back()) {
      parts.push_back(n);
    }
  }
  parts.push_back(N);
  return parts;
}

// True if the parts keep all threads busy when each takes the next part as soon as it is free.
bool is_even(const Batch& b, const std::vector<int64_t>& parts, int64_t threads) {
  std::vector<int64_t> load(threads, 0);
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    *std::min_element(load.begin(), load.end()) +=
        b.row_offsets[parts[i + 1]] - b.row_offsets[parts[i]];
  }
  const double mean = static_cast<double>(b.row_offsets.back()) / threads;
  return *std::max_element(load.begin(), load.end()) <= kMaxImbalance * mean;
}

int64_t attention_scratch_size(const Encoder& e, const Batch& b) {
  int64_t longest = 1;
  for (size_t n = 0; n + 1 < b.row_offsets.size(); ++n) {
    longest = std::max(longest, b.row_offsets[n + 1] - b.row_offsets[n]);
  }
  return backend().attention_scratch_size(longest, e.units / e.heads);
}

// Run the parts in parallel, one thread for each.
void encode_in_parts(const Encoder& e, const Batch& b, const std::vector<int64_t>& parts,
                     int threads) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    rows = std::max(rows, b.row_offsets[parts[i + 1]] - b.row_offsets[parts[i]]);
  }
  const int64_t count = static_cast<int64_t>(parts.size()) - 1;
  // Allocate everything here: an exception must not leave a parallel region.
  std::vector<WorkspaceLease> leases;
  for (int i = 0; i < threads; ++i) {
    leases.emplace_back(e, rows, attention_scratch_size(e, b));
  }
  std::atomic<int64_t> next{0};
  run_parallel(threads, [&](const ThreadGroup& group) {
    const Workspace& workspace = leases[group.rank].get();
    for (int64_t i = next++; i < count; i = next++) {
      encode(e, b, parts[i], parts[i + 1], workspace, workspace.attention.get(), ThreadGroup());
    }
  });
}

// Run the batch with all threads as one group.
void encode_as_group(const Encoder& e, const Batch& b, int threads) {
  const int64_t each = (attention_scratch_size(e, b) + kCacheLine - 1) / kCacheLine * kCacheLine;
  const WorkspaceLease lease(e, b.row_offsets.back(), each * threads);
  const Workspace& workspace = lease.get();
  run_parallel(threads, [&](const ThreadGroup& group) {
    encode(e, b, 0, static_cast<int64_t>(b.row_offsets.size()) - 1, workspace,
           workspace.attention.get() + group.rank * each, group);
  });
}

}  // namespace

extern "C" {

// Make an encoder; null if there is no memory. The caller checks all arguments.
// sizes: units, hidden_size, heads, layers, activation, activation of the pooler; the floats from
// head to head in the weights of query, key and value, and in their biases; then for each layer the
// precisions of query_key_value, output, expand and contract.
// arrays: word embeddings, type embeddings or null, position embeddings, gamma, beta; for each
// layer weight and bias of query, key, value and output, gamma, beta, weight and bias of expand and
// contract, gamma, beta; weight and bias of the pooler, or two nulls. The embeddings and all gamma
// and beta are not copied.
// activation_scales: null, or those of query_key_value, output, expand and contract of each layer.
void* gluon_bert_encoder(const int64_t* sizes, float eps, const float* const* arrays,
                         const float* const* activation_scales, int threads) try {
  auto e = std::make_unique<Encoder>();
  e->units = sizes[0];
  e->hidden_size = sizes[1];
  e->heads = sizes[2];
  e->activation = static_cast<Activation>(sizes[4]);
  e->pooler_activation = static_cast<Activation>(sizes[5]);
  e->word_embeddings = arrays[0];
  e->type_embeddings = arrays[1];
  e->position_embeddings = arrays[2];
  e->norm = {arrays[3], arrays[4], sizes[0], eps};
  const float* const* a = arrays + 5;
  const int64_t C = e->units, hidden_size = e->hidden_size;
  for (int64_t i = 0; i < sizes[3]; ++i, a += 16) {
    const auto dense = [&](int number, const Source& source) {
      return DenseLayer(source, precision_of(sizes[8 + 4 * i + number]),
                        activation_scales ? activation_scales[4 * i + number] : nullptr);
    };
    const auto matrix = [&](int at, int64_t out, int64_t in) {
      return Source{{a[at]}, {a[at + 1]}, out, in};
    };
    const Source query_key_value = {{a[0], a[2], a[4]}, {a[1], a[3], a[5]}, 3 * C, C,
                                    C / e->heads, sizes[6], sizes[7]};
    e->layers.push_back({dense(0, query_key_value), dense(1, matrix(6, C, C)),
                         {a[8], a[9], C, eps}, dense(2, matrix(10, hidden_size, C)),
                         dense(3, matrix(12, C, hidden_size)), {a[14], a[15], C, eps}});
  }
  std::vector<DenseLayer*> layers;
  for (EncoderLayer& layer : e->layers) {
    layers.insert(layers.end(),
                  {&layer.query_key_value, &layer.output, &layer.expand, &layer.contract});
  }
  if (a[0]) {
    e->pooler = std::make_unique<DenseLayer>(Source{{a[0]}, {a[1]}, C, C}, Precision::kFloat32,
                                             nullptr);
    layers.push_back(e->pooler.get());
  }
  e->packed = pack_layers(layers, threads);
  return e.release();
} catch (const std::bad_alloc&) {
  return nullptr;
}

// Make a single dense layer: weight (out, in), bias (out,), precision as a number, and scales of
// the inputs (in,) or null.
void* gluon_bert_dense(const float* weight, const float* bias, int64_t out, int64_t in,
                       int64_t precision, const float* activation_scales) try {
  return new SingleLayer(Source{{weight}, {bias}, out, in}, precision_of(precision),
                         activation_scales);
} catch (const std::bad_alloc&) {
  return nullptr;
}

// Compute y (rows, out) from x (rows, in). Returns 0, or 1 if there is no memory.
int gluon_bert_run_dense(const void* dense, const float* x, int64_t rows, int activation,
                         int threads, float* y) try {
  const DenseLayer& layer = static_cast<const SingleLayer*>(dense)->layer;
  const int64_t in = layer.get().in, out = layer.get().out, width = pad_columns(out);
  const bool converts = layer.get().precision != Precision::kFloat32;
  const ConvertedRows converted(converts ? rows : 0, layer.get().words);
  // Complete panels go to y itself: a copy from fresh memory takes a tenth of the time of 1024 rows.
  const bool is_complete = width == out;
  const FloatBuffer padded(is_complete ? 0 : rows * width);
  float* results = is_complete ? y : padded.get();
  run_parallel(threads, [&](const ThreadGroup& group) {
    run_dense(layer.get(), static_cast<Activation>(activation), x, in, rows, results, width,
              converted, group);
    for (int64_t r = group.begin(rows); !is_complete && r < group.end(rows); ++r) {
      std::copy_n(results + r * width, out, y + r * out);
    }
  });
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

void gluon_bert_free_dense(void* dense) { delete static_cast<SingleLayer*>(dense); }

void gluon_bert_free_encoder(void* encoder) { delete static_cast<Encoder*>(encoder); }

// Encode a batch. ids and types: of all M valid tokens. lengths: of the N sequences. Outputs:
// sequence (M, C) and pooled (N, C), either may be null. squares: null, or, with one thread, an
// array for each dense layer, to which the squares of its inputs are added. The caller checks all
// arguments. Returns 0, or 1 if there is no memory.
int gluon_bert_encode(const void* encoder, const int32_t* ids, const int32_t* types,
                      const int32_t* lengths, int64_t N, int threads, float* sequence,
                      float* pooled, double* const* squares) try {
  const Encoder& e = *static_cast<const Encoder*>(encoder);
  Batch b{ids, types, {0}, sequence, pooled, squares};
  for (int64_t n = 0; n < N; ++n) {
    b.row_offsets.push_back(b.row_offsets.back() + lengths[n]);
  }
  const std::vector<int64_t> parts = divide(e, b, threads);
  if (threads == 1 || is_even(b, parts, threads)) {
    encode_in_parts(e, b, parts, threads);
  } else {
    encode_as_group(e, b, threads);
  }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // extern "C"
