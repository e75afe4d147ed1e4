// The backward pass of a BERT encoder in training: from the gradient of its output to those of all
// parameters.
#include <functional>

#include "training.h"

namespace {

struct Gradients {
  float* const* targets;
  const uint8_t* adds;

  static int64_t at(int64_t layer, int64_t place) { return kLayers + layer * kOfLayer + place; }
  bool any(int64_t begin, int64_t end) const {
    return std::any_of(targets + begin, targets + end, [](const float* x) { return x; });
  }
};

// Add up partial sums, (count, C), or put them in the place of what was there.
void write_sums(const Work& w, const float* sums, int64_t count, int64_t stride, int64_t size,
                float* target, bool add) {
  if (!target) {
    return;
  }
  for (int64_t i = w.team.begin(size); i < w.team.end(size); ++i) {
    float total = 0;
    for (int64_t n = 0; n < count; ++n) {
      total += sums[n * stride + i];
    }
    target[i] = add ? target[i] + total : total;
  }
}

// `gradient` becomes that of the input x of a norm. place: of gamma, beta follows.
void normalize_backward(const Work& w, const Norm& norm, const Gradients& g, int64_t place,
                        int64_t rows, const float* x, float* gradient) {
  float* sums = w.scratch.norm_sums.get();
  const int64_t C = w.net.units, count = blocks(rows, kBlock);
  for (int64_t b = w.team.begin(count); b < w.team.end(count); ++b) {
    float* own = sums + b * 2 * C;
    std::fill_n(own, 2 * C, 0.0f);
    for (int64_t r = b * kBlock; r < std::min(rows, (b + 1) * kBlock); ++r) {
      float* row = gradient + r * w.C();
      backend().normalize_backward(norm, row, x + r * w.C(), row, own, own + C);
    }
  }
  w.team.wait();
  write_sums(w, sums, count, 2 * C, C, g.targets[place], g.adds[place]);
  write_sums(w, sums + C, count, 2 * C, C, g.targets[place + 1], g.adds[place + 1]);
  w.team.wait();
}

// The gradients of a weight, at `place`, and its bias, of up to kStep rows; `more`: added to those
// of rows before.
void dense_gradients(const Work& w, const Gradients& g, int64_t place, const float* dy,
                     int64_t ldy, int64_t out, const float* x, int64_t ldx, int64_t in,
                     int64_t rows, bool more) {
  if (!g.any(place, place + 2)) {
    return;
  }
  const Backend& b = backend();
  const Precision precision = w.net.precision;
  const int64_t tiles = blocks(out, b.rows), panels = blocks(in, b.columns);
  const int64_t begin = w.team.begin(tiles), end = w.team.end(tiles);
  const int64_t from = begin * b.rows, to = std::min(end * b.rows, out);
  float *target = g.targets[place], *bias = g.targets[place + 1], *sums = w.scratch.sums.get();
  std::fill(sums + from, sums + to, 0.0f);
  b.lay_out_transposed(precision, dy, ldy, rows, out, begin, end, w.scratch.tiles.get(), sums);
  if (bias) {
    const bool add = more || g.adds[place + 1];
    for (int64_t i = from; i < to; ++i) {
      bias[i] = add ? bias[i] + sums[i] : sums[i];
    }
  }
  if (target) {
    b.lay_out(precision, x, ldx, 1, rows, in, w.team.begin(panels), w.team.end(panels),
              w.scratch.panels.get());
    w.team.wait();
    b.multiply_transposed(precision, w.scratch.tiles.get(), w.scratch.panels.get(), rows, out, in,
                          begin, end, more || g.adds[place], target);
  }
  w.team.wait();
}

void add_rows(const Work& w, const float* x, int64_t count, float* y) {
  const int64_t C = w.C();
  for (int64_t i = w.team.begin(count) * C; i < w.team.end(count) * C; ++i) {
    y[i] += x[i];
  }
  w.team.wait();
}

// spare becomes the rows of the gradient without those numbers that were dropped.
void drop_rows(const Work& w, const Dropout& dropout, int64_t top, int64_t count) {
  for (int64_t r = top + w.team.begin(count); r < top + w.team.end(count); ++r) {
    backend().drop(w.scratch.gradient.get() + r * w.C(), nullptr, dropout, r, w.C(),
                   w.scratch.spare.get() + r * w.C());
  }
  w.team.wait();
}

// From the gradient of `outputs` to that of what the feed-forward layer reads.
void transform_backward(const Work& w, const Gradients& g, int64_t layer) {
  const Network& net = w.net;
  const Scratch& s = w.scratch;
  const int64_t rows = w.rows(layer), C = w.C(), inner = w.inner();
  const Dense contract = lay_out_dense(w, 0, w.array(layer, kContract), nullptr, net.units,
                                       net.hidden_size, true);
  const Dense expand = lay_out_dense(w, 1, w.array(layer, kExpand), nullptr, net.hidden_size,
                                     net.units, true);
  Dense again;
  if (net.recompute) {
    again = lay_out_dense(w, 2, w.array(layer, kExpand), w.array(layer, kExpand + 1),
                          net.hidden_size, net.units, false);
  }
  for (int64_t top = 0; top < rows; top += kStep) {
    const int64_t count = std::min(kStep, rows - top);
    float *hidden = s.hidden.get() + top * C, *spare = s.spare.get() + top * C,
          *change = s.inner_gradient.get(), *activated = s.inner.get(),
          *expanded = w.expanded(layer, top);
    restore_middle(w, layer, top, count);
    if (net.recompute) {
      run_dense(again, kNone, hidden, C, count, expanded, inner, s.converted, w.team);
    }
    drop_rows(w, w.dropout(layer, 3), top, count);
    run_dense(contract, kNone, spare, C, count, change, inner, s.converted, w.team);
    for (int64_t r = w.team.begin(count); r < w.team.end(count); ++r) {
      backend().activate_backward(net.activation, expanded + r * inner, whole(net.hidden_size),
                                  change + r * inner, activated + r * inner);
    }
    w.team.wait();
    dense_gradients(w, g, g.at(layer, kContract), spare, C, net.units, activated, inner,
                    net.hidden_size, count, top > 0);
    dense_gradients(w, g, g.at(layer, kExpand), change, inner, net.hidden_size, hidden, C,
                    net.units, count, top > 0);
    run_dense(expand, kNone, change, inner, count, spare, C, s.converted, w.team);
    add_rows(w, spare, count, s.gradient.get() + top * C);
  }
}

// From the gradient of `attended` to that of the layer's input, which `wanted` tells of.
void attend_backward(const Work& w, const Gradients& g, int64_t layer, bool wanted) {
  const Network& net = w.net;
  const Scratch& s = w.scratch;
  const int64_t rows = w.rows(layer), C = w.C(), wide = w.wide();
  float *hidden = s.hidden.get(), *spare = s.spare.get(), *changes = s.wide_gradient.get(),
        *gradient = s.gradient.get();
  drop_rows(w, w.dropout(layer, 2), 0, rows);
  for (int64_t top = 0; top < rows; top += kStep) {
    dense_gradients(w, g, g.at(layer, kOutput), spare + top * C, C, net.units,
                    w.context(layer) + top * C, C, net.units, std::min(kStep, rows - top), top > 0);
  }
  const Dense output = lay_out_dense(w, 0, w.array(layer, kOutput), nullptr, net.units, net.units,
                                     true);
  run_dense(output, kNone, spare, C, rows, s.context_gradient.get(), C, s.converted, w.team);
  float* own = s.attention.get() + w.team.rank * (s.attention_size / w.pass.threads);
  for (int64_t task = w.team.rank; task < w.pass.sequences() * net.heads; task += w.team.size) {
    Attention a = w.head(layer, task);
    a.gradient = s.context_gradient.get() + (a.output - w.context(layer));
    a.input_gradient = changes + (a.input - w.query_key_value(layer));
    backend().attention_backward(a, own);
  }
  restore_input(w, layer);
  for (int64_t top = 0; top < w.rows(); top += kStep) {
    dense_gradients(w, g, g.at(layer, kQueryKeyValue), changes + top * wide, wide, 3 * net.units,
                    hidden + top * C, C, net.units, std::min(kStep, w.rows() - top), top > 0);
  }
  if (!wanted) {
    return;
  }
  const Dense read = lay_out_dense(w, 1, w.array(layer, kQueryKeyValue), nullptr, 3 * net.units,
                                   net.units, true);
  run_dense(read, kNone, changes, wide, w.rows(), spare, C, s.converted, w.team);
  if (!w.is_short(layer)) {
    add_rows(w, spare, rows, gradient);
    return;
  }
  for (int64_t n = w.team.begin(rows); n < w.team.end(rows); ++n) {
    float* row = spare + w.pass.first[n] * C;
    std::transform(row, row + C, gradient + n * C, row, std::plus<float>());
  }
  w.team.wait();
  std::copy(spare + w.team.begin(w.rows()) * C, spare + w.team.end(w.rows()) * C,
            gradient + w.team.begin(w.rows()) * C);
  w.team.wait();
}

// The gradient of a table of embeddings: of those of the rows, whose numbers `number` tells.
template <class Number>
void scatter(const Work& w, const Gradients& g, int64_t place, int64_t count, Number number) {
  float* target = g.targets[place];
  if (!target) {
    return;
  }
  const int64_t C = w.net.units;
  if (!g.adds[place]) {
    std::fill(target + w.team.begin(count) * C, target + w.team.end(count) * C, 0.0f);
    w.team.wait();
  }
  // Each thread adds up some columns of all rows, so that their order is always the same.
  const int64_t step = kLine / static_cast<int64_t>(sizeof(float)), stretches = blocks(C, step);
  const int64_t from = w.team.begin(stretches) * step;
  const int64_t to = std::min(w.team.end(stretches) * step, C);
  for (int64_t n = 0; n < w.pass.sequences(); ++n) {
    for (int64_t r = w.pass.first[n]; r < w.pass.first[n + 1]; ++r) {
      const float* row = w.scratch.gradient.get() + r * w.C();
      float* sum = target + number(r, r - w.pass.first[n]) * C;
      for (int64_t i = from; i < to; ++i) {
        sum[i] += row[i];
      }
    }
  }
  w.team.wait();
}

void embed_backward(const Work& w, const Gradients& g) {
  float *gradient = w.scratch.gradient.get(), *sums = w.scratch.hidden.get();
  const Dropout dropout = w.dropout(0, 0);
  for (int64_t r = w.team.begin(w.rows()); r < w.team.end(w.rows()); ++r) {
    backend().drop(gradient + r * w.C(), nullptr, dropout, r, w.C(), gradient + r * w.C());
  }
  sum_embeddings(w, sums);
  normalize_backward(w, w.first_norm(), g, kGamma, w.rows(), sums, gradient);
  scatter(w, g, kWords, w.net.words, [&](int64_t r, int64_t) { return w.pass.ids[r]; });
  scatter(w, g, kTypes, w.net.types, [&](int64_t r, int64_t) { return w.pass.types[r]; });
  scatter(w, g, kPositions, w.net.positions, [](int64_t, int64_t t) { return t; });
}

// The gradient of the output to rows.
void read_gradient(const Work& w, const float* source) {
  const Pass& pass = w.pass;
  const int64_t C = w.net.units;
  for (int64_t n = w.team.begin(pass.sequences()); n < w.team.end(pass.sequences()); ++n) {
    const int64_t first = pass.first_only ? n : pass.first[n];
    const int64_t length = pass.first_only ? 1 : pass.first[n + 1] - pass.first[n];
    for (int64_t t = 0; t < length; ++t) {
      std::copy_n(source + (n * (pass.first_only ? 1 : pass.T) + t) * C, C,
                  w.scratch.gradient.get() + (first + t) * w.C());
    }
  }
  w.team.wait();
}

}  // namespace

void run_backward(const Work& w, const float* gradient, float* const* gradients,
                  const uint8_t* adds) {
  const Gradients g{gradients, adds};
  read_gradient(w, gradient);
  for (int64_t layer = w.net.layers - 1; layer >= 0 && g.any(0, g.at(layer + 1, 0)); --layer) {
    if (w.net.recompute) {
      restore_input(w, layer);
      attend(w, layer);
    }
    normalize_backward(w, w.norm(layer, kOutputNorm), g, g.at(layer, kOutputNorm), w.rows(layer),
                       w.outputs(layer), w.scratch.gradient.get());
    transform_backward(w, g, layer);
    normalize_backward(w, w.norm(layer, kAttentionNorm), g, g.at(layer, kAttentionNorm),
                       w.rows(layer), w.attended(layer), w.scratch.gradient.get());
    attend_backward(w, g, layer, g.any(0, g.at(layer, 0)));
  }
  if (g.any(0, kLayers)) {
    embed_backward(w, g);
  }
}
