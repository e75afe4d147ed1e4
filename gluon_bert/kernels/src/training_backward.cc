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

// The gradient of `count` rows from `begin` on becomes that of the input x of a norm. place: of
// gamma, beta follows.
void normalize_backward(const Work& w, const Norm& norm, const Gradients& g, int64_t place,
                        int64_t begin, int64_t count, const Rows& x) {
  const Rows gradient = w.gradient();
  float* sums = w.scratch.norm_sums.get();
  const int64_t C = w.net.units, number = blocks(count, kBlock);
  w.each(0, number, [&](int64_t b) {
    float* own = sums + b * 2 * C;
    std::fill_n(own, 2 * C, 0.0f);
    for (int64_t r = begin + b * kBlock; r < begin + std::min(count, (b + 1) * kBlock); ++r) {
      backend().normalize_backward(norm, gradient[r], x[r], gradient[r], own, own + C);
    }
  });
  for (int i = 0; i < 2; ++i) {
    write_sums(w, sums + i * C, number, 2 * C, C, g.targets[place + i],
               w.continues() || g.adds[place + i]);
  }
  w.team.wait();
}

// The gradients of a weight, at `place`, and its bias, of `count` rows from `top` on; `more`: added
// to those of others.
void dense_gradients(const Work& w, const Gradients& g, int64_t place, const Rows& dy, int64_t out,
                     const Rows& x, int64_t in, int64_t top, int64_t count, bool more) {
  if (!g.any(place, place + 2)) {
    return;
  }
  const Backend& b = backend();
  const Precision precision = w.net.precision;
  const int64_t num_panels = blocks(in, b.columns), num_tiles = blocks(out, b.rows);
  const int64_t begin = w.team.begin(num_tiles), end = w.team.end(num_tiles);
  const int64_t from = begin * b.rows, to = std::min(end * b.rows, out);
  float *target = g.targets[place], *bias = g.targets[place + 1];
  float *sums = w.scratch.sums.get(), *tiles = w.scratch.tiles.get(),
        *panels = w.scratch.panels.get();
  for (int64_t done = 0; done < count; done += kStep) {
    const int64_t rows = std::min(kStep, count - done);
    const bool adds = more || done > 0 || w.continues();
    std::fill(sums + from, sums + to, 0.0f);
    b.lay_out_transposed(precision, dy[top + done], dy.stride, rows, out, begin, end, tiles, sums);
    if (bias) {
      const bool add = adds || g.adds[place + 1];
      for (int64_t i = from; i < to; ++i) {
        bias[i] = add ? bias[i] + sums[i] : sums[i];
      }
    }
    if (target) {
      b.lay_out(precision, x[top + done], x.stride, 1, rows, in, w.team.begin(num_panels),
                w.team.end(num_panels), panels);
      w.team.wait();
      b.multiply_transposed(precision, tiles, panels, rows, out, in, begin, end,
                            adds || g.adds[place], target);
    }
    w.team.wait();
  }
}

void add_rows(const Work& w, const Rows& x, int64_t begin, int64_t count, const Rows& y) {
  w.each(begin, count, [&](int64_t r) {
    std::transform(x[r], x[r] + w.C(), y[r], y[r], std::plus<float>());
  });
}

// spare becomes the rows of the gradient without those numbers that were dropped.
void drop_rows(const Work& w, int64_t layer, int64_t number, int64_t begin, int64_t count) {
  const Rows gradient = w.gradient(), spare = w.spare(layer);
  const Dropout dropout = w.dropout(layer, number);
  w.each(begin, count, [&](int64_t r) {
    backend().drop(gradient[r], nullptr, dropout, r, w.C(), spare[r]);
  });
}

// From the gradient of `outputs` to that of what the feed-forward layer reads.
void transform_backward(const Work& w, const Gradients& g, int64_t layer) {
  const Network& net = w.net;
  const Scratch& s = w.scratch;
  const int64_t top = w.top(layer), end = top + w.rows(layer), C = w.C(), inner = w.inner();
  const Rows hidden = w.hidden(), spare = w.spare(layer);
  const Dense contract = lay_out_dense(w, 0, w.array(layer, kContract), nullptr, net.units,
                                       net.hidden_size, true);
  const Dense expand = lay_out_dense(w, 1, w.array(layer, kExpand), nullptr, net.hidden_size,
                                     net.units, true);
  Dense again;
  if (net.recompute) {
    again = lay_out_dense(w, 2, w.array(layer, kExpand), w.array(layer, kExpand + 1),
                          net.hidden_size, net.units, false);
  }
  for (int64_t begin = top; begin < end; begin += kStep) {
    const int64_t count = std::min(kStep, end - begin);
    const Rows expanded = w.expanded(layer, begin), change{s.inner_gradient.get(), inner, begin},
               activated{s.inner.get(), inner, begin};
    restore_middle(w, layer, begin, count);
    if (net.recompute) {
      run_dense(again, kNone, hidden[begin], C, count, expanded[begin], inner, s.converted, w.team);
    }
    drop_rows(w, layer, 3, begin, count);
    run_dense(contract, kNone, spare[begin], C, count, change[begin], inner, s.converted, w.team);
    w.each(begin, count, [&](int64_t r) {
      backend().activate_backward(net.activation, expanded[r], whole(net.hidden_size), change[r],
                                  activated[r]);
    });
    dense_gradients(w, g, g.at(layer, kContract), spare, net.units, activated, net.hidden_size,
                    begin, count, begin > top);
    dense_gradients(w, g, g.at(layer, kExpand), change, net.hidden_size, hidden, net.units, begin,
                    count, begin > top);
    run_dense(expand, kNone, change[begin], inner, count, spare[begin], C, s.converted, w.team);
    add_rows(w, spare, begin, count, w.gradient());
  }
}

// From the gradient of `attended` to that of the layer's input, which `wanted` tells of.
void attend_backward(const Work& w, const Gradients& g, int64_t layer, bool wanted) {
  const Network& net = w.net;
  const Scratch& s = w.scratch;
  const int64_t top = w.top(layer), rows = w.rows(layer), C = w.C();
  const Rows gradient = w.gradient(), context = w.context(layer),
             context_gradient = w.context_gradient(layer), inputs = w.query_key_value(layer),
             changes = w.wide_gradient();
  drop_rows(w, layer, 2, top, rows);
  dense_gradients(w, g, g.at(layer, kOutput), w.spare(layer), net.units, context, net.units, top,
                  rows, false);
  const Dense output = lay_out_dense(w, 0, w.array(layer, kOutput), nullptr, net.units, net.units,
                                     true);
  run_dense(output, kNone, w.spare(layer)[top], C, rows, context_gradient[top], C, s.converted,
            w.team);
  float* own = s.attention.get() + w.team.rank * (s.attention_size / w.pass.threads);
  for (int64_t task = w.from * net.heads + w.team.rank; task < w.to * net.heads;
       task += w.team.size) {
    Attention a = w.head(layer, task);
    a.gradient = context_gradient[top] + (a.output - context[top]);
    a.input_gradient = changes[w.top()] + (a.input - inputs[w.top()]);
    backend().attention_backward(a, own);
  }
  restore_input(w, layer);
  dense_gradients(w, g, g.at(layer, kQueryKeyValue), changes, 3 * net.units, w.hidden(),
                  net.units, w.top(), w.rows(), false);
  if (!wanted) {
    return;
  }
  const Dense turned = lay_out_dense(w, 1, w.array(layer, kQueryKeyValue), nullptr, 3 * net.units,
                                     net.units, true);
  const Rows spare = w.spare();
  run_dense(turned, kNone, changes[w.top()], w.wide(), w.rows(), spare[w.top()], C,
            s.converted, w.team);
  if (!w.is_short(layer)) {
    add_rows(w, spare, top, rows, gradient);
    return;
  }
  // A row of the inputs never stands before that of its sequence's output, so that what is written
  // here is not what parts to come read.
  w.each(w.from, w.to - w.from, [&](int64_t n) {
    float* row = spare[w.pass.first[n]];
    std::transform(row, row + C, gradient[n], row, std::plus<float>());
  });
  w.each(w.top(), w.rows(), [&](int64_t r) { std::copy_n(spare[r], C, gradient[r]); });
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
      const float* row = w.gradient()[r];
      float* sum = target + number(r, r - w.pass.first[n]) * C;
      for (int64_t i = from; i < to; ++i) {
        sum[i] += row[i];
      }
    }
  }
  w.team.wait();
}

void embed_backward(const Work& w, const Gradients& g) {
  const Rows gradient = w.gradient();
  const Dropout dropout = w.dropout(0, 0);
  w.each(0, w.rows(), [&](int64_t r) {
    backend().drop(gradient[r], nullptr, dropout, r, w.C(), gradient[r]);
  });
  sum_embeddings(w, w.hidden());
  normalize_backward(w, w.first_norm(), g, kGamma, 0, w.rows(), w.hidden());
  scatter(w, g, kWords, w.net.words, [&](int64_t r, int64_t) { return w.pass.ids[r]; });
  scatter(w, g, kTypes, w.net.types, [&](int64_t r, int64_t) { return w.pass.types[r]; });
  scatter(w, g, kPositions, w.net.positions, [](int64_t, int64_t t) { return t; });
}

// The gradient of the output to rows.
void read_gradient(const Work& w, const float* source) {
  const Pass& pass = w.pass;
  const int64_t C = w.net.units;
  w.each(0, pass.sequences(), [&](int64_t n) {
    const int64_t first = pass.first_only ? n : pass.first[n];
    const int64_t length = pass.first_only ? 1 : pass.first[n + 1] - pass.first[n];
    for (int64_t t = 0; t < length; ++t) {
      std::copy_n(source + (n * (pass.first_only ? 1 : pass.T) + t) * C, C,
                  w.gradient()[first + t]);
    }
  });
}

// From the gradient of a layer's normalised output to that of its input.
void layer_backward(const Work& w, const Gradients& g, int64_t layer) {
  const int64_t top = w.top(layer), rows = w.rows(layer);
  if (w.net.recompute) {
    restore_input(w, layer);
    attend(w, layer);
  }
  normalize_backward(w, w.norm(layer, kOutputNorm), g, g.at(layer, kOutputNorm), top, rows,
                     w.outputs(layer));
  transform_backward(w, g, layer);
  normalize_backward(w, w.norm(layer, kAttentionNorm), g, g.at(layer, kAttentionNorm), top, rows,
                     w.attended(layer));
  attend_backward(w, g, layer, g.any(0, g.at(layer, 0)));
}

}  // namespace

void run_backward(const Work& w, const float* gradient, float* const* gradients,
                  const uint8_t* adds) {
  const Gradients g{gradients, adds};
  read_gradient(w, gradient);
  for (int64_t layer = w.net.layers - 1; layer >= 0 && g.any(0, g.at(layer + 1, 0)); --layer) {
    for (int64_t number = w.pass.num_parts() - 1; number >= 0; --number) {
      layer_backward(w.part(number), g, layer);
    }
  }
  if (g.any(0, kLayers)) {
    embed_backward(w, g);
  }
}
