// A whole BERT encoder in training, over the valid tokens of a batch: the forward pass, and how it
// is called. The backward pass is in training_backward.cc.
//
// Weights are laid out for each product, just before it, as they change with every step. Dropout is
// drawn again in the backward pass. All sums are in an order that does not depend on the threads.
#include "training.h"

#include <cstring>
#include <new>

#include <omp.h>

Scratch::Scratch(const Network& net, int64_t rows, int64_t part_rows, int64_t attention_size)
    : rows(rows), part_rows(part_rows), attention_size(attention_size),
      hidden(rows * whole(net.units)), gradient(rows * whole(net.units)),
      spare(part_rows * whole(net.units)), context_gradient(part_rows * whole(net.units)),
      wide_gradient(part_rows * whole(3 * net.units)),
      inner(std::min(part_rows, kStep) * net.inner()),
      inner_gradient(std::min(part_rows, kStep) * net.inner()),
      tiles((std::min(part_rows, kStep) + 1) * blocks(net.wide(), backend().rows)
            * backend().rows),
      panels((std::min(part_rows, kStep) + 1) * whole(std::max(net.units, net.hidden_size))),
      sums(net.wide()), norm_sums(blocks(rows, kBlock) * 2 * net.units),
      attention(attention_size),
      converted(net.precision == Precision::kFloat32 ? 0 : part_rows,
                words_of(net.precision, net.wide())) {
  for (int i = 0; i < (net.recompute ? 3 : 2); ++i) {
    weights[i] = Floats((whole(net.wide()) + 1) * whole(net.units));
    biases[i] = Floats(whole(net.wide()));
  }
}

Kept::Kept(const Network& net, int64_t rows, int64_t part_rows, bool for_backward)
    : rows(rows), part_rows(part_rows), for_backward(for_backward),
      outputs(rows * (for_backward ? net.layers : 1) * whole(net.units)) {
  const bool all = for_backward && !net.recompute;
  const int64_t count = all ? rows * net.layers : part_rows;
  query_key_value = Floats(count * whole(3 * net.units));
  context = Floats(count * whole(net.units));
  attended = Floats(count * whole(net.units));
  inner = Floats((all ? count : std::min(part_rows, kStep)) * net.inner());
}

Dense lay_out_dense(const Work& w, int number, const float* weight, const float* bias, int64_t out,
                    int64_t in, bool transposed) {
  Dense dense;
  dense.precision = w.net.precision;
  dense.in = transposed ? out : in;
  dense.out = transposed ? in : out;
  dense.words = words_of(dense.precision, dense.in);
  dense.panels = w.scratch.weights[number].get();
  float* biases = w.scratch.biases[number].get();
  dense.bias = biases;
  const int64_t panels = whole(dense.out) / backend().columns;
  backend().lay_out(dense.precision, weight, transposed ? in : 1, transposed ? 1 : in, dense.in,
                    dense.out, w.team.begin(panels), w.team.end(panels),
                    w.scratch.weights[number].get());
  if (w.team.rank == 0) {
    std::fill_n(biases, whole(dense.out), 0.0f);
    if (bias) {
      std::copy_n(bias, dense.out, biases);
    }
  }
  w.team.wait();
  return dense;
}

void sum_embeddings(const Work& w, const Rows& sums) {
  const int64_t C = w.net.units;
  for (int64_t n = w.from; n < w.to; ++n) {
    const int64_t first = w.pass.first[n], length = w.pass.first[n + 1] - first;
    for (int64_t t = w.team.begin(length); t < w.team.end(length); ++t) {
      const int64_t row = first + t;
      const float *word = w.arrays[kWords] + w.pass.ids[row] * C,
                  *place = w.arrays[kPositions] + t * C,
                  *type = w.arrays[kTypes] ? w.arrays[kTypes] + w.pass.types[row] * C : nullptr;
      float* sum = sums[row];
      for (int64_t i = 0; i < C; ++i) {
        sum[i] = word[i] + (type ? type[i] : 0.0f) + place[i];
      }
    }
  }
  w.team.wait();
}

void embed(const Work& w) {
  const Rows hidden = w.hidden();
  sum_embeddings(w, hidden);
  const Dropout dropout = w.dropout(0, 0);
  w.each(w.top(), w.rows(), [&](int64_t r) {
    backend().normalize(w.first_norm(), hidden[r], hidden[r]);
    if (dropout.dropped > 0) {
      backend().drop(hidden[r], nullptr, dropout, r, w.C(), hidden[r]);
    }
  });
}

void restore_input(const Work& w, int64_t layer) {
  if (layer == 0) {
    embed(w);
    return;
  }
  const Norm norm = w.norm(layer - 1, kOutputNorm);
  const Rows hidden = w.hidden(), outputs = w.outputs(layer - 1);
  w.each(w.top(), w.rows(),
         [&](int64_t r) { backend().normalize(norm, outputs[r], hidden[r]); });
}

void attend(const Work& w, int64_t layer) {
  const Network& net = w.net;
  const int64_t top = w.top(layer), rows = w.rows(layer), C = w.C();
  const Rows hidden = w.hidden(), spare = w.spare(layer), attended = w.attended(layer);
  const Dense read = lay_out_dense(w, 0, w.array(layer, kQueryKeyValue),
                                   w.array(layer, kQueryKeyValue + 1), 3 * net.units, net.units,
                                   false);
  run_dense(read, kNone, hidden[w.top()], C, w.rows(), w.query_key_value(layer)[w.top()], w.wide(),
            w.scratch.converted, w.team);
  float* own = w.scratch.attention.get() + w.team.rank * (w.scratch.attention_size
                                                          / w.pass.threads);
  for (int64_t task = w.from * net.heads + w.team.rank; task < w.to * net.heads;
       task += w.team.size) {
    backend().attention_forward(w.head(layer, task), own);
  }
  const Dense output = lay_out_dense(w, 1, w.array(layer, kOutput), w.array(layer, kOutput + 1),
                                     net.units, net.units, false);
  run_dense(output, kNone, w.context(layer)[top], C, rows, spare[top], C, w.scratch.converted,
            w.team);
  const Dropout dropout = w.dropout(layer, 2);
  w.each(top, rows, [&](int64_t r) {
    const float* input = hidden[w.is_short(layer) ? w.pass.first[r] : r];
    backend().drop(spare[r], input, dropout, r, C, attended[r]);
  });
}

void restore_middle(const Work& w, int64_t layer, int64_t begin, int64_t count) {
  const Norm norm = w.norm(layer, kAttentionNorm);
  const Rows hidden = w.hidden(), attended = w.attended(layer);
  w.each(begin, count, [&](int64_t r) { backend().normalize(norm, attended[r], hidden[r]); });
}

namespace {

// From `attended` to `outputs`, and the normalised ones in hidden.
void transform(const Work& w, int64_t layer) {
  const Network& net = w.net;
  const int64_t end = w.top(layer) + w.rows(layer), C = w.C(), inner = w.inner();
  const Rows hidden = w.hidden(), spare = w.spare(layer), outputs = w.outputs(layer);
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
               activated{w.scratch.inner.get(), inner, begin};
    restore_middle(w, layer, begin, count);
    run_dense(expand, kNone, hidden[begin], C, count, expanded[begin], inner, w.scratch.converted,
              w.team);
    w.each(begin, count, [&](int64_t r) {
      backend().activate(net.activation, expanded[r], whole(net.hidden_size), activated[r]);
    });
    run_dense(contract, kNone, activated[begin], inner, count, spare[begin], C,
              w.scratch.converted, w.team);
    w.each(begin, count, [&](int64_t r) {
      backend().drop(spare[r], hidden[r], dropout, r, C, outputs[r]);
      backend().normalize(norm, outputs[r], hidden[r]);
    });
  }
}

// (N, T, C), zero past the lengths, or (N, C).
void write_output(const Work& w, float* output) {
  const Pass& pass = w.pass;
  const int64_t C = w.net.units, tokens = pass.first_only ? 1 : pass.T;
  w.each(0, pass.sequences(), [&](int64_t n) {
    const int64_t first = pass.first_only ? n : pass.first[n];
    const int64_t length = pass.first_only ? 1 : pass.first[n + 1] - pass.first[n];
    for (int64_t t = 0; t < tokens; ++t) {
      float* row = output + (n * tokens + t) * C;
      if (t < length) {
        std::copy_n(w.hidden()[first + t], C, row);
      } else {
        std::fill_n(row, C, 0.0f);
      }
    }
  });
}

void make_room(Trainer* trainer, const Pass& pass) {
  const Network& net = trainer->net;
  const int64_t each = backend().attention_space(pass.longest(), net.units / net.heads);
  std::unique_ptr<Scratch>& scratch = trainer->scratch;
  // It only grows, so that the backward pass has the room that the forward pass made.
  const int64_t attention = std::max(blocks(each, kLine) * kLine * pass.threads,
                                     scratch ? scratch->attention_size : 0);
  const int64_t rows = std::max(pass.rows(), scratch ? scratch->rows : 0);
  const int64_t part_rows = std::max(pass.part_rows(), scratch ? scratch->part_rows : 0);
  if (!scratch || scratch->rows < rows || scratch->part_rows < part_rows
      || scratch->attention_size < attention) {
    scratch.reset();
    scratch = std::make_unique<Scratch>(net, rows, part_rows, attention);
  }
}

std::unique_ptr<Kept> take_kept(Trainer* trainer, const Pass& pass, bool for_backward) {
  std::unique_ptr<Kept> found = std::move(trainer->idle);
  const int64_t rows = std::max(pass.rows(), found ? found->rows : 0);
  const int64_t part_rows = std::max(pass.part_rows(), found ? found->part_rows : 0);
  if (!found || found->rows < rows || found->part_rows < part_rows
      || found->for_backward != for_backward) {
    found.reset();
    found = std::make_unique<Kept>(trainer->net, rows, part_rows, for_backward);
  }
  return found;
}

// Sequences that follow each other, up to kPart rows of them or one longer one.
std::vector<int64_t> divide(const Pass& pass) {
  std::vector<int64_t> parts{0};
  if (pass.trainer->net.recompute) {
    for (int64_t n = 1; n < pass.sequences(); ++n) {
      if (pass.first[n + 1] - pass.first[parts.back()] > kPart) {
        parts.push_back(n);
      }
    }
  }
  parts.push_back(pass.sequences());
  return parts;
}

}  // namespace

extern "C" {

// sizes: units, hidden_size, heads, layers, words, types, positions, activation, precision,
// recompute. Null if there is no memory.
void* gluon_bert_trainer(const int64_t* sizes, float eps) try {
  auto trainer = std::make_unique<std::shared_ptr<Trainer>>(std::make_shared<Trainer>());
  (*trainer)->net = {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6],
                     static_cast<Activation>(sizes[7]), static_cast<Precision>(sizes[8]),
                     sizes[9] != 0, eps};
  return trainer.release();
} catch (const std::bad_alloc&) {
  return nullptr;
}

int gluon_bert_threads() { return omp_get_max_threads(); }

void gluon_bert_free_trainer(void* trainer) {
  delete static_cast<std::shared_ptr<Trainer>*>(trainer);
}

// A batch of N sequences: ids and types of all M valid tokens and lengths, checked by the caller;
// arrays as the caller lists them. output: (N, T, C), or with first_only (N, C). Gives the pass for
// gluon_bert_train_backward, or null if there is no memory.
void* gluon_bert_train_forward(void* handle, const float* const* arrays, const int32_t* ids,
                               const int32_t* types, const int32_t* lengths, int64_t N, int64_t T,
                               int first_only, int for_backward, float dropped, uint64_t seed,
                               int threads, float* output) try {
  const std::shared_ptr<Trainer>& trainer = *static_cast<std::shared_ptr<Trainer>*>(handle);
  auto pass = std::make_unique<Pass>();
  pass->trainer = trainer;
  pass->first = {0};
  for (int64_t n = 0; n < N; ++n) {
    pass->first.push_back(pass->first.back() + lengths[n]);
  }
  pass->ids.assign(ids, ids + pass->rows());
  pass->types.assign(types, types + pass->rows());
  pass->parts = divide(*pass);
  pass->T = T;
  pass->first_only = first_only != 0;
  pass->dropped = dropped;
  pass->seed = seed;
  pass->threads = threads;
  std::lock_guard<std::mutex> lock(trainer->mutex);
  make_room(trainer.get(), *pass);
  pass->kept = take_kept(trainer.get(), *pass, for_backward != 0);
#pragma omp parallel num_threads(threads)
  {
    const Work work{trainer->net, *pass, *trainer->scratch, arrays,
                    Team{omp_get_thread_num(), omp_get_num_threads()}, 0, N};
    embed(work);
    for (int64_t layer = 0; layer < work.net.layers; ++layer) {
      for (int64_t number = 0; number < pass->num_parts(); ++number) {
        const Work part = work.part(number);
        attend(part, layer);
        transform(part, layer);
      }
    }
    write_output(work, output);
  }
  return pass.release();
} catch (const std::bad_alloc&) {
  return nullptr;
}

// gradient: of the output. gradients: in the order of the arrays, null where not wanted; adds:
// whether they are added to. 0, or 1 if there is no memory.
int gluon_bert_train_backward(void* handle, const float* const* arrays, const float* gradient,
                              float* const* gradients, const uint8_t* adds) try {
  const Pass& pass = *static_cast<Pass*>(handle);
  Trainer& trainer = *pass.trainer;
  std::lock_guard<std::mutex> lock(trainer.mutex);
  make_room(&trainer, pass);
#pragma omp parallel num_threads(pass.threads)
  {
    const Work work{trainer.net, pass, *trainer.scratch, arrays,
                    Team{omp_get_thread_num(), omp_get_num_threads()}, 0, pass.sequences()};
    run_backward(work, gradient, gradients, adds);
  }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

void gluon_bert_free_pass(void* handle) {
  std::unique_ptr<Pass> pass(static_cast<Pass*>(handle));
  const std::shared_ptr<Trainer> trainer = pass->trainer;
  std::lock_guard<std::mutex> lock(trainer->mutex);
  std::unique_ptr<Kept>& idle = trainer->idle;
  if (!idle || !idle->for_backward || idle->rows < pass->kept->rows) {
    idle = std::move(pass->kept);
  }
}

}  // extern "C"
