// The backward pass of a BERT encoder in training, from the gradient of its output to those of all
// parameters.
#include <functional>

#include "training.h"

namespace {

struct Gradients {
  float* const* targets;
  const uint8_t* adds;

  static int64_t at(int64_t layer, int64_t index) {
    return kFirstLayer + layer * kArraysPerLayer + index;
  }
  bool any(int64_t begin, int64_t end) const {
    return std::any_of(targets + begin, targets + end, [](const float* x) { return x; });
  }
};

// Sum up `count` partial sums and add the total to the target, or overwrite it.
void write_sums(const Work& w, const float* sums, int64_t count, int64_t stride, int64_t size,
                float* target, bool add) {
  if (!target) {
    return;
  }
  for (int64_t i = w.group.begin(size); i < w.group.end(size); ++i) {
    float total = 0;
    for (int64_t n = 0; n < count; ++n) {
      total += sums[n * stride + i];
    }
    target[i] = add ? target[i] + total : total;
  }
}

// Backward pass of a norm for `count` rows from `begin` on: the gradient of its output becomes that
// of its input x. index: of gamma; beta follows it.
void normalize_backward(const Work& w, const Norm& norm, const Gradients& g, int64_t index,
                        int64_t begin, int64_t count, const Rows& x) {
  const Rows gradient = w.gradient();
  float* sums = w.scratch.norm_sums.get();
  const int64_t C = w.net.units, number = block_count(count, kBlock);
  w.each(0, number, [&](int64_t b) {
    float* block_sums = sums + b * 2 * C;
    std::fill_n(block_sums, 2 * C, 0.0f);
    for (int64_t r = begin + b * kBlock; r < begin + std::min(count, (b + 1) * kBlock); ++r) {
      backend().normalize_backward(norm, gradient[r], x[r], gradient[r], block_sums,
                                   block_sums + C);
    }
  });
  for (int i = 0; i < 2; ++i) {
    write_sums(w, sums + i * C, number, 2 * C, C, g.targets[index + i],
               w.continues() || g.adds[index + i]);
  }
  w.group.barrier();
}

// Compute the gradients of a weight, which has this index, and of its bias, from `count` rows from
// `top` on. more: add them to those of earlier rows.
void dense_gradients(const Work& w, const Gradients& g, int64_t index, const Rows& dy, int64_t out,
                     const Rows& x, int64_t in, int64_t top, int64_t count, bool more) {
  if (!g.any(index, index + 2)) {
    return;
  }
  const Backend& b = backend();
  const Precision precision = w.net.precision;
  const int64_t num_panels = block_count(in, b.columns), num_tiles = block_count(out, b.rows);
  const int64_t begin = w.group.begin(num_tiles), end = w.group.end(num_tiles);
  const int64_t from = begin * b.rows, to = std::min(end * b.rows, out);
  float *target = g.targets[index], *bias = g.targets[index + 1];
  float *sums = w.scratch.sums.get(), *tiles = w.scratch.tiles.get(),
        *panels = w.scratch.panels.get();
  for (int64_t done = 0; done < count; done += kStep) {
    const int64_t rows = std::min(kStep, count - done);
    const bool adds = more || done > 0 || w.continues();
    std::fill(sums + from, sums + to, 0.0f);
    b.lay_out_transposed(precision, dy[top + done], dy.stride, rows, out, begin, end, tiles, sums);
    if (bias) {
      const bool add = adds || g.adds[index + 1];
      for (int64_t i = from; i < to; ++i) {
        bias[i] = add ? bias[i] + sums[i] : sums[i];
      }
    }
    if (target) {
      b.lay_out(precision, x[top + done], x.stride, 1, rows, in, w.group.begin(num_panels),
                w.group.end(num_panels), panels);
      w.group.barrier();
      b.multiply_transposed(precision, tiles, panels, rows, out, in, begin, end,
                            adds || g.adds[index], target);
    }
    w.group.barrier();
  }
}

void add_rows(const Work& w, const Rows& x, int64_t begin, int64_t count, const Rows& y) {
  w.each(begin, count, [&](int64_t r) {
    std::transform(x[r], x[r] + w.stride(), y[r], y[r], std::plus<float>());
  });
}

// Write the gradient to tmp, with the numbers that the forward pass dropped set to 0.
void drop_rows(const Work& w, int64_t layer, int64_t number, int64_t begin, int64_t count) {
  const Rows gradient = w.gradient(), tmp = w.tmp(layer);
  const Dropout dropout = w.dropout(layer, number);
  w.each(begin, count, [&](int64_t r) {
    backend().drop(gradient[r], nullptr, dropout, r, w.stride(), tmp[r]);
  });
}

// Backward pass of a feed-forward layer: the gradient of output_sums becomes that of its input.
void feed_forward_backward(const Work& w, const Gradients& g, int64_t layer) {
  const Network& net = w.net;
  const Scratch& s = w.scratch;
  const int64_t top = w.top(layer), end = top + w.rows(layer);
  const int64_t stride = w.stride(), ffn_stride = w.ffn_stride();
  const Rows hidden = w.hidden(), tmp = w.tmp(layer);
  const Dense contract = lay_out_dense(w, 0, w.array(layer, kContract), nullptr, net.units,
                                       net.hidden_size, true);
  const Dense expand = lay_out_dense(w, 1, w.array(layer, kExpand), nullptr, net.hidden_size,
                                     net.units, true);
  Dense recomputed;
  if (net.recompute) {
    recomputed = lay_out_dense(w, 2, w.array(layer, kExpand), w.array(layer, kExpand + 1),
                               net.hidden_size, net.units, false);
  }
  for (int64_t begin = top; begin < end; begin += kStep) {
    const int64_t count = std::min(kStep, end - begin);
    const Rows expanded = w.expanded(layer, begin),
               expanded_gradient{s.ffn_gradient.get(), ffn_stride, begin},
               activated{s.activated.get(), ffn_stride, begin};
    restore_ffn_input(w, layer, begin, count);
    if (net.recompute) {
      run_dense(recomputed, kNone, hidden[begin], stride, count, expanded[begin], ffn_stride,
                s.converted, w.group);
    }
    drop_rows(w, layer, 3, begin, count);
    run_dense(contract, kNone, tmp[begin], stride, count, expanded_gradient[begin], ffn_stride,
              s.converted, w.group);
    w.each(begin, count, [&](int64_t r) {
      backend().activate_backward(net.activation, expanded[r], pad_columns(net.hidden_size),
                                  expanded_gradient[r], activated[r]);
    });
    dense_gradients(w, g, g.at(layer, kContract), tmp, net.units, activated, net.hidden_size,
                    begin, count, begin > top);
    dense_gradients(w, g, g.at(layer, kExpand), expanded_gradient, net.hidden_size, hidden,
                    net.units, begin, count, begin > top);
    run_dense(expand, kNone, expanded_gradient[begin], ffn_stride, count, tmp[begin], stride,
              s.converted, w.group);
    add_rows(w, tmp, begin, count, w.gradient());
  }
}

// Backward pass of self-attention: the gradient of attention_sums becomes that of the layer's
// input, if that is needed.
void attend_backward(const Work& w, const Gradients& g, int64_t layer,
                     bool input_gradient_needed) {
  const Network& net = w.net;
  const Scratch& s = w.scratch;
  const int64_t top = w.top(layer), rows = w.rows(layer), stride = w.stride();
  const Rows gradient = w.gradient(), context = w.context(layer),
             context_gradient = w.context_gradient(layer), inputs = w.query_key_value(layer),
             qkv_gradient = w.qkv_gradient();
  drop_rows(w, layer, 2, top, rows);
  dense_gradients(w, g, g.at(layer, kOutput), w.tmp(layer), net.units, context, net.units, top,
                  rows, false);
  const Dense output = lay_out_dense(w, 0, w.array(layer, kOutput), nullptr, net.units, net.units,
                                     true);
  run_dense(output, kNone, w.tmp(layer)[top], stride, rows, context_gradient[top], stride,
            s.converted, w.group);
  float* attention_scratch =
      s.attention.get() + w.group.rank * (s.attention_size / w.pass.threads);
  for (int64_t task = w.from * net.heads + w.group.rank; task < w.to * net.heads;
       task += w.group.size) {
    Attention a = w.head(layer, task);
    a.gradient = context_gradient[top] + (a.output - context[top]);
    a.input_gradient = qkv_gradient[w.top()] + (a.input - inputs[w.top()]);
    backend().attention_backward(a, attention_scratch);
  }
  restore_input(w, layer);
  dense_gradients(w, g, g.at(layer, kQueryKeyValue), qkv_gradient, 3 * net.units, w.hidden(),
                  net.units, w.top(), w.rows(), false);
  if (!input_gradient_needed) {
    return;
  }
  const Dense query_key_value = lay_out_dense(w, 1, w.array(layer, kQueryKeyValue), nullptr,
                                              3 * net.units, net.units, true);
  const Rows tmp = w.tmp();
  run_dense(query_key_value, kNone, qkv_gradient[w.top()], w.qkv_stride(), w.rows(),
            tmp[w.top()], stride, s.converted, w.group);
  if (!w.first_token_only(layer)) {
    add_rows(w, tmp, top, rows, gradient);
    return;
  }
  // Input rows never precede the output row of their sequence, so the parts that follow do not read
  // the rows written here.
  w.each(w.from, w.to - w.from, [&](int64_t n) {
    float* row = tmp[w.pass.row_offsets[n]];
    std::transform(row, row + stride, gradient[n], row, std::plus<float>());
  });
  w.each(w.top(), w.rows(), [&](int64_t r) { std::copy_n(tmp[r], stride, gradient[r]); });
}

// Compute the gradient of an embedding table. number(row, position): the index of an embedding.
template <class Number>
void scatter(const Work& w, const Gradients& g, int64_t index, int64_t count, Number number) {
  float* target = g.targets[index];
  if (!target) {
    return;
  }
  const int64_t C = w.net.units;
  if (!g.adds[index]) {
    std::fill(target + w.group.begin(count) * C, target + w.group.end(count) * C, 0.0f);
    w.group.barrier();
  }
  // Each thread sums some columns over all rows, so that the order of the sums is always the same.
  const int64_t step = kCacheLine / static_cast<int64_t>(sizeof(float));
  const int64_t lines = block_count(C, step);
  const int64_t from = w.group.begin(lines) * step;
  const int64_t to = std::min(w.group.end(lines) * step, C);
  for (int64_t n = 0; n < w.pass.sequences(); ++n) {
    for (int64_t r = w.pass.row_offsets[n]; r < w.pass.row_offsets[n + 1]; ++r) {
      const float* row = w.gradient()[r];
      float* sum = target + number(r, r - w.pass.row_offsets[n]) * C;
      for (int64_t i = from; i < to; ++i) {
        sum[i] += row[i];
      }
    }
  }
  w.group.barrier();
}

void embed_backward(const Work& w, const Gradients& g) {
  const Rows gradient = w.gradient();
  const Dropout dropout = w.dropout(0, 0);
  w.each(0, w.rows(), [&](int64_t r) {
    backend().drop(gradient[r], nullptr, dropout, r, w.stride(), gradient[r]);
  });
  sum_embeddings(w, w.hidden());
  normalize_backward(w, w.embedding_norm(), g, kGamma, 0, w.rows(), w.hidden());
  scatter(w, g, kWordEmbeddings, w.net.vocab_size,
          [&](int64_t r, int64_t) { return w.pass.ids[r]; });
  scatter(w, g, kTypeEmbeddings, w.net.num_token_types,
          [&](int64_t r, int64_t) { return w.pass.types[r]; });
  scatter(w, g, kPositionEmbeddings, w.net.max_length, [](int64_t, int64_t t) { return t; });
}

// Copy the gradient of the output to the rows of gradient.
void read_gradient(const Work& w, const float* source) {
  const Pass& pass = w.pass;
  const int64_t C = w.net.units;
  w.each(0, pass.sequences(), [&](int64_t n) {
    const int64_t first_row = pass.first_token_only ? n : pass.row_offsets[n];
    const int64_t length =
        pass.first_token_only ? 1 : pass.row_offsets[n + 1] - pass.row_offsets[n];
    for (int64_t t = 0; t < length; ++t) {
      std::copy_n(source + (n * (pass.first_token_only ? 1 : pass.T) + t) * C, C,
                  w.gradient()[first_row + t]);
    }
  });
}

// Backward pass of a layer: the gradient of its output becomes that of its input.
void layer_backward(const Work& w, const Gradients& g, int64_t layer) {
  const int64_t top = w.top(layer), rows = w.rows(layer);
  if (w.net.recompute) {
    restore_input(w, layer);
    attend(w, layer);
  }
  normalize_backward(w, w.norm(layer, kOutputNorm), g, g.at(layer, kOutputNorm), top, rows,
                     w.output_sums(layer));
  feed_forward_backward(w, g, layer);
  normalize_backward(w, w.norm(layer, kAttentionNorm), g, g.at(layer, kAttentionNorm), top, rows,
                     w.attention_sums(layer));
  attend_backward(w, g, layer, g.any(0, g.at(layer, 0)));
}

}  // namespace

void run_backward(const Work& w, const float* gradient, float* const* gradients,
                  const uint8_t* adds, OnLayer on_layer) {
  const Gradients g{gradients, adds};
  read_gradient(w, gradient);
  for (int64_t layer = w.net.layers - 1; layer >= 0 && g.any(0, g.at(layer + 1, 0)); --layer) {
    for (int64_t number = w.pass.num_parts() - 1; number >= 0; --number) {
      layer_backward(w.part(number), g, layer);
    }
    w.group.barrier();
    if (on_layer && w.group.rank == 0) {
      on_layer(layer);
    }
  }
  if (g.any(0, kFirstLayer)) {
    embed_backward(w, g);
  }
}
