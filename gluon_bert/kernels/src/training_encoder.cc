// The forward pass of a BERT encoder in training, over the valid tokens of a batch, and the C
// interface of both passes. The backward pass is in training_backward.cc.
//
// Weights change with every step, so they are packed right before each product. The backward pass
// draws the dropout again. The order of all sums is independent of the number of threads.
#include "training.h"

#include <cstring>
#include <new>

Scratch::Scratch(const Network& net, int64_t rows, int64_t part_rows, int64_t attention_size)
    : rows(rows), part_rows(part_rows), attention_size(attention_size),
      hidden(rows * pad_columns(net.units)), gradient(rows * pad_columns(net.units)),
      tmp(part_rows * pad_columns(net.units)),
      context_gradient(part_rows * pad_columns(net.units)),
      qkv_gradient(part_rows * pad_columns(3 * net.units)),
      activated(std::min(part_rows, kStep) * net.ffn_stride()),
      ffn_gradient(std::min(part_rows, kStep) * net.ffn_stride()),
      tiles((std::min(part_rows, kStep) + 1) * block_count(net.max_width(), backend().rows)
            * backend().rows),
      panels((std::min(part_rows, kStep) + 1) * pad_columns(std::max(net.units, net.hidden_size))),
      sums(net.max_width()), norm_sums(block_count(rows, kBlock) * 2 * net.units),
      attention(attention_size),
      converted(net.precision == Precision::kFloat32 ? 0 : part_rows,
                word_count(net.precision, net.max_width())) {
  for (int i = 0; i < (net.recompute ? 3 : 2); ++i) {
    weights[i] = FloatBuffer((pad_columns(net.max_width()) + 1) * pad_columns(net.units));
    biases[i] = FloatBuffer(pad_columns(net.max_width()));
  }
}

SavedActivations::SavedActivations(const Network& net, int64_t rows, int64_t part_rows,
                                   bool for_backward)
    : rows(rows), part_rows(part_rows), for_backward(for_backward),
      output_sums(rows * (for_backward ? net.layers : 1) * pad_columns(net.units)) {
  const bool all = for_backward && !net.recompute;
  const int64_t count = all ? rows * net.layers : part_rows;
  query_key_value = FloatBuffer(count * pad_columns(3 * net.units));
  context = FloatBuffer(count * pad_columns(net.units));
  attention_sums = FloatBuffer(count * pad_columns(net.units));
  expanded = FloatBuffer((all ? count : std::min(part_rows, kStep)) * net.ffn_stride());
}

Dense lay_out_dense(const Work& w, int number, const float* weight, const float* bias, int64_t out,
                    int64_t in, bool transposed) {
  Dense dense;
  dense.precision = w.net.precision;
  dense.in = transposed ? out : in;
  dense.out = transposed ? in : out;
  dense.words = word_count(dense.precision, dense.in);
  dense.panels = w.scratch.weights[number].get();
  float* biases = w.scratch.biases[number].get();
  dense.bias = biases;
  const int64_t panels = pad_columns(dense.out) / backend().columns;
  backend().lay_out(dense.precision, weight, transposed ? in : 1, transposed ? 1 : in, dense.in,
                    dense.out, w.group.begin(panels), w.group.end(panels),
                    w.scratch.weights[number].get());
  if (w.group.rank == 0) {
    std::fill_n(biases, pad_columns(dense.out), 0.0f);
    if (bias) {
      std::copy_n(bias, dense.out, biases);
    }
  }
  w.group.barrier();
  return dense;
}

void sum_embeddings(const Work& w, const Rows& sums) {
  const int64_t C = w.net.units;
  for (int64_t n = w.from; n < w.to; ++n) {
    const int64_t first_row = w.pass.row_offsets[n];
    const int64_t length = w.pass.row_offsets[n + 1] - first_row;
    for (int64_t t = w.group.begin(length); t < w.group.end(length); ++t) {
      const int64_t row = first_row + t;
      const float *word = w.arrays[kWordEmbeddings] + w.pass.ids[row] * C,
                  *position = w.arrays[kPositionEmbeddings] + t * C,
                  *type = w.arrays[kTypeEmbeddings]
                              ? w.arrays[kTypeEmbeddings] + w.pass.types[row] * C
                              : nullptr;
      float* sum = sums[row];
      for (int64_t i = 0; i < C; ++i) {
        sum[i] = word[i] + (type ? type[i] : 0.0f) + position[i];
      }
    }
  }
  w.group.barrier();
}

void embed(const Work& w) {
  const Rows hidden = w.hidden();
  sum_embeddings(w, hidden);
  const Dropout dropout = w.dropout(0, 0);
  w.each(w.top(), w.rows(), [&](int64_t r) {
    backend().normalize(w.embedding_norm(), hidden[r], hidden[r]);
    if (dropout.rate > 0) {
      backend().drop(hidden[r], nullptr, dropout, r, w.stride(), hidden[r]);
    }
  });
}

void restore_input(const Work& w, int64_t layer) {
  if (layer == 0) {
    embed(w);
    return;
  }
  const Norm norm = w.norm(layer - 1, kOutputNorm);
  const Rows hidden = w.hidden(), output_sums = w.output_sums(layer - 1);
  w.each(w.top(), w.rows(),
         [&](int64_t r) { backend().normalize(norm, output_sums[r], hidden[r]); });
}

void attend(const Work& w, int64_t layer) {
  const Network& net = w.net;
  const int64_t top = w.top(layer), rows = w.rows(layer), stride = w.stride();
  const Rows hidden = w.hidden(), tmp = w.tmp(layer), attention_sums = w.attention_sums(layer);
  const Dense query_key_value = lay_out_dense(w, 0, w.array(layer, kQueryKeyValue),
                                              w.array(layer, kQueryKeyValue + 1), 3 * net.units,
                                              net.units, false);
  run_dense(query_key_value, kNone, hidden[w.top()], stride, w.rows(),
            w.query_key_value(layer)[w.top()], w.qkv_stride(), w.scratch.converted, w.group);
  float* attention_scratch =
      w.scratch.attention.get() + w.group.rank * (w.scratch.attention_size / w.pass.threads);
  for (int64_t task = w.from * net.heads + w.group.rank; task < w.to * net.heads;
       task += w.group.size) {
    backend().attention_forward(w.head(layer, task), attention_scratch);
  }
  const Dense output = lay_out_dense(w, 1, w.array(layer, kOutput), w.array(layer, kOutput + 1),
                                     net.units, net.units, false);
  run_dense(output, kNone, w.context(layer)[top], stride, rows, tmp[top], stride,
            w.scratch.converted, w.group);
  const Dropout dropout = w.dropout(layer, 2);
  w.each(top, rows, [&](int64_t r) {
    const float* input = hidden[w.first_token_only(layer) ? w.pass.row_offsets[r] : r];
    backend().drop(tmp[r], input, dropout, r, stride, attention_sums[r]);
  });
}

void restore_ffn_input(const Work& w, int64_t layer, int64_t begin, int64_t count) {
  const Norm norm = w.norm(layer, kAttentionNorm);
  const Rows hidden = w.hidden(), attention_sums = w.attention_sums(layer);
  w.each(begin, count, [&](int64_t r) { backend().normalize(norm, attention_sums[r], hidden[r]); });
}

namespace {

// Run the feed-forward layer, from attention_sums to output_sums, and write its normalised output
// to hidden.
void feed_forward(const Work& w, int64_t layer) {
  const Network& net = w.net;
  const int64_t end = w.top(layer) + w.rows(layer);
  const int64_t stride = w.stride(), ffn_stride = w.ffn_stride();
  const Rows hidden = w.hidden(), tmp = w.tmp(layer), output_sums = w.output_sums(layer);
  const Dense expand = lay_out_dense(w, 0, w.array(layer, kExpand), w.array(layer, kExpand + 1),
                                     net.hidden_size, net.units, false);
  const Dense contract = lay_out_dense(w, 1, w.array(layer, kContract),
                                       w.array(layer, kContract + 1), net.units, net.hidden_size,
                                       false);
  const Norm norm = w.norm(layer, kOutputNorm);
  const Dropout dropout = w.dropout(layer, 3);
  for (int64_t begin = w.top(layer); begin < end; begin += kStep) {
    const int64_t count = std::min(kStep, end - begin);
    const Rows expanded = w.expanded(layer, begin),
               activated{w.scratch.activated.get(), ffn_stride, begin};
    restore_ffn_input(w, layer, begin, count);
    run_dense(expand, kNone, hidden[begin], stride, count, expanded[begin], ffn_stride,
              w.scratch.converted, w.group);
    w.each(begin, count, [&](int64_t r) {
      backend().activate(net.activation, expanded[r], pad_columns(net.hidden_size), activated[r]);
    });
    run_dense(contract, kNone, activated[begin], ffn_stride, count, tmp[begin], stride,
              w.scratch.converted, w.group);
    w.each(begin, count, [&](int64_t r) {
      backend().drop(tmp[r], hidden[r], dropout, r, stride, output_sums[r]);
      backend().normalize(norm, output_sums[r], hidden[r]);
    });
  }
}

// Write hidden to output: (N, T, C), zero past the lengths, or (N, C).
void write_output(const Work& w, float* output) {
  const Pass& pass = w.pass;
  const int64_t C = w.net.units, tokens = pass.first_token_only ? 1 : pass.T;
  w.each(0, pass.sequences(), [&](int64_t n) {
    const int64_t first_row = pass.first_token_only ? n : pass.row_offsets[n];
    const int64_t length =
        pass.first_token_only ? 1 : pass.row_offsets[n + 1] - pass.row_offsets[n];
    for (int64_t t = 0; t < tokens; ++t) {
      float* row = output + (n * tokens + t) * C;
      if (t < length) {
        std::copy_n(w.hidden()[first_row + t], C, row);
      } else {
        std::fill_n(row, C, 0.0f);
      }
    }
  });
}

// Make the scratch large enough for a pass.
void reserve_scratch(Trainer* trainer, const Pass& pass) {
  const Network& net = trainer->net;
  const int64_t each = backend().attention_scratch_size(pass.longest(), net.units / net.heads);
  std::unique_ptr<Scratch>& scratch = trainer->scratch;
  // It never shrinks, so that the backward pass need not allocate what the forward pass has.
  const int64_t attention = std::max(block_count(each, kCacheLine) * kCacheLine * pass.threads,
                                     scratch ? scratch->attention_size : 0);
  const int64_t rows = std::max(pass.rows(), scratch ? scratch->rows : 0);
  const int64_t part_rows = std::max(pass.part_rows(), scratch ? scratch->part_rows : 0);
  if (!scratch || scratch->rows < rows || scratch->part_rows < part_rows
      || scratch->attention_size < attention) {
    scratch.reset();
    scratch = std::make_unique<Scratch>(net, rows, part_rows, attention);
  }
}

// Take the idle buffers if they are large enough, else allocate new ones.
std::unique_ptr<SavedActivations> take_saved(Trainer* trainer, const Pass& pass,
                                             bool for_backward) {
  std::unique_ptr<SavedActivations> saved = std::move(trainer->idle);
  const int64_t rows = std::max(pass.rows(), saved ? saved->rows : 0);
  const int64_t part_rows = std::max(pass.part_rows(), saved ? saved->part_rows : 0);
  if (!saved || saved->rows < rows || saved->part_rows < part_rows
      || saved->for_backward != for_backward) {
    saved.reset();
    saved = std::make_unique<SavedActivations>(trainer->net, rows, part_rows, for_backward);
  }
  return saved;
}

// Cut the batch into parts of consecutive sequences: up to kPart rows, or one longer sequence.
std::vector<int64_t> divide(const Pass& pass) {
  std::vector<int64_t> parts{0};
  if (pass.trainer->net.recompute) {
    for (int64_t n = 1; n < pass.sequences(); ++n) {
      if (pass.row_offsets[n + 1] - pass.row_offsets[parts.back()] > kPart) {
        parts.push_back(n);
      }
    }
  }
  parts.push_back(pass.sequences());
  return parts;
}

}  // namespace

extern "C" {

// Make a trainer; null if there is no memory. sizes: units, hidden_size, heads, layers, vocab_size,
// num_token_types, max_length, activation, precision, recompute.
void* gluon_bert_trainer(const int64_t* sizes, float eps) try {
  auto trainer = std::make_unique<std::shared_ptr<Trainer>>(std::make_shared<Trainer>());
  (*trainer)->net = {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6],
                     static_cast<Activation>(sizes[7]), precision_of(sizes[8]),
                     sizes[9] != 0, eps};
  return trainer.release();
} catch (const std::bad_alloc&) {
  return nullptr;
}

int gluon_bert_threads() { return default_threads(); }

void gluon_bert_free_trainer(void* trainer) {
  delete static_cast<std::shared_ptr<Trainer>*>(trainer);
}

// Run the forward pass for N sequences. ids and types: of all M valid tokens. lengths: (N,).
// arrays: indexed by ArrayIndex and LayerArrayIndex. output: (N, T, C), or (N, C) with
// first_token_only. The caller checks all arguments. Returns the pass, for
// gluon_bert_train_backward, or null if there is no memory.
void* gluon_bert_train_forward(void* handle, const float* const* arrays, const int32_t* ids,
                               const int32_t* types, const int32_t* lengths, int64_t N, int64_t T,
                               int first_token_only, int for_backward, float dropout, uint64_t seed,
                               int threads, float* output) try {
  const std::shared_ptr<Trainer>& trainer = *static_cast<std::shared_ptr<Trainer>*>(handle);
  auto pass = std::make_unique<Pass>();
  pass->trainer = trainer;
  pass->row_offsets = {0};
  for (int64_t n = 0; n < N; ++n) {
    pass->row_offsets.push_back(pass->row_offsets.back() + lengths[n]);
  }
  pass->ids.assign(ids, ids + pass->rows());
  pass->types.assign(types, types + pass->rows());
  pass->parts = divide(*pass);
  pass->T = T;
  pass->first_token_only = first_token_only != 0;
  pass->dropout = dropout;
  pass->seed = seed;
  pass->threads = threads;
  std::lock_guard<std::mutex> lock(trainer->mutex);
  reserve_scratch(trainer.get(), *pass);
  pass->saved = take_saved(trainer.get(), *pass, for_backward != 0);
  run_parallel(threads, [&](const ThreadGroup& group) {
    const Work work{trainer->net, *pass, *trainer->scratch, arrays, group, 0, N};
    embed(work);
    for (int64_t layer = 0; layer < work.net.layers; ++layer) {
      for (int64_t number = 0; number < pass->num_parts(); ++number) {
        const Work part = work.part(number);
        attend(part, layer);
        feed_forward(part, layer);
      }
    }
    write_output(work, output);
  });
  return pass.release();
} catch (const std::bad_alloc&) {
  return nullptr;
}

// Run the backward pass. gradient: of the output. gradients: of the arrays, in their order; null if
// not needed. adds: for each gradient, 1 to add to it or 0 to overwrite it. on_layer: see
// run_backward. Returns 0, or 1 if there is no memory.
int gluon_bert_train_backward(void* handle, const float* const* arrays, const float* gradient,
                              float* const* gradients, const uint8_t* adds,
                              OnLayer on_layer) try {
  const Pass& pass = *static_cast<Pass*>(handle);
  Trainer& trainer = *pass.trainer;
  std::lock_guard<std::mutex> lock(trainer.mutex);
  reserve_scratch(&trainer, pass);
  run_parallel(pass.threads, [&](const ThreadGroup& group) {
    const Work work{trainer.net, pass, *trainer.scratch, arrays, group, 0, pass.sequences()};
    run_backward(work, gradient, gradients, adds, on_layer);
  });
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

void gluon_bert_free_pass(void* handle) {
  std::unique_ptr<Pass> pass(static_cast<Pass*>(handle));
  const std::shared_ptr<Trainer> trainer = pass->trainer;
  std::lock_guard<std::mutex> lock(trainer->mutex);
  std::unique_ptr<SavedActivations>& idle = trainer->idle;
  if (!idle || !idle->for_backward || idle->rows < pass->saved->rows) {
    idle = std::move(pass->saved);
  }
}

}  // extern "C"
