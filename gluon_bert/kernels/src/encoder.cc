// A whole BERT encoder over the valid tokens of a batch, called directly, not as an operator.
//
// Rows are tokens, those of one sequence after those of another, without padding. Weights are laid
// out once. Threads either take sequences each, from the embeddings to the last layer without
// waiting for each other, or, where these would not be spread evenly, share the work on all.
//
// Letters: M rows, N sequences, C units.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <numeric>
#include <vector>

#include <omp.h>

#include "backend.h"
#include "team.h"

namespace {

constexpr int64_t kChunk = 1024;   // rows that a thread takes at a time, for all layers
constexpr int64_t kStep = 336;     // of these, the rows that go from attention to the layer's end
constexpr double kUneven = 1.05;   // the most that one thread may have to do, as part of the mean

// The inputs of a dense layer are divided by, and its weights multiplied with, numbers that make
// both nearer to each other in size, input by input: a few large inputs of a token would leave few
// of its steps to the others (Xiao et al., 2023, SmoothQuant, section 4). Here the factors on the
// inputs, from their sizes on calibration texts.
std::vector<float> smoothing(const float* weight, int64_t out, int64_t in, const float* sizes) {
  std::vector<float> factors(in, 1.0f);
  for (int64_t k = 0; sizes && k < in; ++k) {
    float largest = 1e-5f;
    for (int64_t j = 0; j < out; ++j) {
      largest = std::max(largest, std::abs(weight[j * in + k]));
    }
    factors[k] = std::sqrt(largest / std::max(sizes[k], 1e-5f));
  }
  return factors;
}

// A dense layer with its own copy of the weights. sizes: of its inputs, or null.
class Layer {
 public:
  Layer(const float* weight, const float* bias, int64_t out, int64_t in, Precision precision,
        const float* sizes)
      : panels_(whole(out) * words_of(precision, in)), bias_(whole(out)), scales_(whole(out)),
        totals_(whole(out)) {
    dense_.precision = precision;
    dense_.in = in;
    dense_.out = out;
    dense_.words = words_of(precision, in);
    dense_.panels = panels_.get();
    dense_.bias = bias_.get();
    dense_.scales = scales_.get();
    dense_.totals = totals_.data();
    std::copy_n(bias, out, bias_.get());
    std::fill(bias_.get() + out, bias_.get() + whole(out), 0.0f);
    std::vector<float> smoothed;
    if (precision == Precision::kInt8) {
      factors_ = smoothing(weight, out, in, sizes);
      dense_.factors = factors_.data();
      smoothed.resize(out * in);
      for (int64_t j = 0; j < out; ++j) {
        for (int64_t k = 0; k < in; ++k) {
          smoothed[j * in + k] = weight[j * in + k] / factors_[k];
        }
      }
      weight = smoothed.data();
    }
    backend().pack(precision, weight, out, in, panels_.get(), scales_.get(), totals_.data());
  }
  const Dense& get() const { return dense_; }

 private:
  Floats panels_, bias_, scales_;
  std::vector<int32_t> totals_;
  std::vector<float> factors_;
  Dense dense_;
};

struct EncoderLayer {
  Layer query_key_value, output;
  Norm attention_norm;
  Layer expand, contract;
  Norm output_norm;
};

struct Space;

struct Encoder {
  int64_t units, hidden_size, heads;
  Activation activation, pooler_activation;
  const float *words, *token_types, *positions;
  Norm norm;
  std::vector<EncoderLayer> layers;
  std::unique_ptr<Layer> pooler;
  // Memory of earlier calls: fresh memory is slow the first time it is written to.
  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Space>> idle;

  Encoder();
  ~Encoder();
};

struct Space {
  Space(const Encoder& e, int64_t rows, int64_t attention_size)
      : rows(rows), attention_size(attention_size),
        wide(std::max(whole(e.hidden_size), whole(3 * e.units)) + kApart),
        units(whole(e.units) + kApart),
        hidden(rows * units), context(rows * units), spare(rows * units), large(rows * wide),
        attention(attention_size), converted(rows, wide) {}
  int64_t rows, attention_size;
  int64_t wide, units;  // floats from row to row of `large`, and of the other three
  Floats hidden, context, spare, large, attention;
  Converted converted;
};

Encoder::Encoder() = default;
Encoder::~Encoder() = default;

// A space taken for a while, from the idle ones if one of them is large enough.
class Lent {
 public:
  Lent(const Encoder& e, int64_t rows, int64_t attention_size) : encoder_(e) {
    {
      std::lock_guard<std::mutex> lock(e.mutex);
      if (!e.idle.empty()) {
        space_ = std::move(e.idle.back());
        e.idle.pop_back();
      }
    }
    if (!space_ || space_->rows < rows || space_->attention_size < attention_size) {
      space_.reset();
      space_ = std::make_unique<Space>(e, rows, attention_size);
    }
  }
  Lent(Lent&&) = default;
  ~Lent() {
    if (space_) {
      std::lock_guard<std::mutex> lock(encoder_.mutex);
      encoder_.idle.push_back(std::move(space_));
    }
  }
  const Space& get() const { return *space_; }

 private:
  const Encoder& encoder_;
  std::unique_ptr<Space> space_;
};

struct Batch {
  const int32_t *ids, *types;       // (M,)
  std::vector<int64_t> first;       // row of each sequence's first token, and M: (N + 1,)
  float *sequence, *pooled;         // (M, C), (N, C), or null where not wanted
  double* const* squares;           // of the inputs of all dense layers, added to; or null
};

// Whether only the first token of each sequence is wanted of a layer.
bool is_short(const Encoder& e, const Batch& b, const EncoderLayer& layer) {
  return !b.sequence && &layer == &e.layers.back();
}

// Add the squares of rows of inputs of a dense layer to those that were seen before.
void observe(const Batch& b, const Encoder& e, const EncoderLayer& layer, int part,
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
              int64_t stride, float* y, const Team& team) {
  for (int64_t r = team.begin(rows); r < team.end(rows); ++r) {
    backend().add_norm(norm, x + r * stride, residual + r * stride, y + r * stride);
  }
  team.wait();
}

void embed(const Encoder& e, const Batch& b, int64_t from, int64_t to, const Space& s,
           const Team& team) {
  const int64_t top = b.first[from];
  int64_t sequence = from;
  for (int64_t r = team.begin(b.first[to] - top); r < team.end(b.first[to] - top); ++r) {
    const int64_t row = top + r;
    while (row >= b.first[sequence + 1]) {
      ++sequence;
    }
    const float* word = e.words + b.ids[row] * e.units;
    const float* type = e.token_types ? e.token_types + b.types[row] * e.units : nullptr;
    float* sum = s.spare.get() + r * s.units;
    for (int64_t i = 0; i < e.units; ++i) {
      sum[i] = word[i] + (type ? type[i] : 0.0f);
    }
    backend().add_norm(e.norm, sum, e.positions + (row - b.first[sequence]) * e.units,
                       s.hidden.get() + r * s.units);
  }
  team.wait();
}

// One head of one sequence, whose first row is `row` of s. input: its queries, keys and values.
void attend(const Encoder& e, const Batch& b, const EncoderLayer& layer, int64_t row,
            int64_t length, int64_t head, const float* input, int64_t stride, const Space& s,
            float* own) {
  Attention a{};
  a.D = e.units / e.heads;
  a.length = length;
  a.queries = is_short(e, b, layer) ? 1 : length;
  a.in_bfloat16 = layer.query_key_value.get().precision != Precision::kFloat32;
  a.stride = stride;
  a.output_stride = s.units;
  a.input = input;
  a.output = s.context.get() + row * s.units + head * a.D;
  backend().attention_forward(a, own);
}

// A layer from one of its panels on.
Dense some_panels(Dense dense, int64_t begin) {
  const int64_t column = begin * backend().columns;
  dense.out -= column;
  dense.panels = static_cast<const uint32_t*>(dense.panels) + column * dense.words;
  dense.bias += column;
  dense.scales += column;
  dense.totals += column;
  return dense;
}

// How many heads' queries, keys and values are whole panels.
int64_t heads_at_a_time(const Encoder& e) {
  const int64_t size = 3 * e.units / e.heads;
  const int64_t count = backend().columns / std::gcd(size, backend().columns);
  return e.heads % count == 0 ? count : e.heads;
}

// Some sequences, from rows as the first layer reads them to results of attention: some heads at a
// time, so that their queries, keys and values are still near when attention reads them.
void attend_by_heads(const Encoder& e, const Batch& b, const EncoderLayer& layer, int64_t from,
                     int64_t begin, int64_t end, const Input& input, const Space& s, float* own,
                     const Team& team) {
  const Dense& dense = layer.query_key_value.get();
  const int64_t D = e.units / e.heads, count = heads_at_a_time(e);
  const int64_t wide = whole(3 * D * count), panels = wide / backend().columns;
  const int64_t top = b.first[begin] - b.first[from], rows = b.first[end] - b.first[begin];
  float* large = s.large.get() + team.rank * s.rows * wide;
  for (int64_t part = team.rank; part < e.heads / count; part += team.size) {
    run_panels(some_panels(dense, part * panels), kNone, input, top, rows, 0, panels, large, wide);
    for (int64_t n = begin; n < end; ++n) {
      const int64_t row = b.first[n] - b.first[begin];
      for (int64_t i = 0; i < count; ++i) {
        attend(e, b, layer, top + row, b.first[n + 1] - b.first[n], part * count + i,
               large + row * wide + i * 3 * D, wide, s, own);
      }
    }
  }
}

// From a layer's input, in hidden, to results of attention, in context.
void read_and_attend(const Encoder& e, const Batch& b, const EncoderLayer& layer, int64_t from,
                     int64_t to, const Space& s, float* own, const Team& team) {
  const Dense& dense = layer.query_key_value.get();
  const int64_t rows = b.first[to] - b.first[from];
  if (e.heads / heads_at_a_time(e) % team.size == 0) {
    const Input input = convert_rows(dense, s.hidden.get(), s.units, rows, s.converted, team);
    const int64_t most = rows_at_a_time(dense.precision, kStep);
    for (int64_t begin = from, end; begin < to; begin = end) {
      end = begin + 1;
      while (end < to && b.first[end + 1] - b.first[begin] <= most) {
        ++end;
      }
      attend_by_heads(e, b, layer, from, begin, end, input, s, own, team);
    }
  } else {
    run_dense(dense, kNone, s.hidden.get(), s.units, rows, s.large.get(), s.wide, s.converted,
              team);
    for (int64_t task = team.rank; task < (to - from) * e.heads; task += team.size) {
      const int64_t n = from + task / e.heads, head = task % e.heads;
      const int64_t row = b.first[n] - b.first[from];
      attend(e, b, layer, row, b.first[n + 1] - b.first[n], head,
             s.large.get() + row * s.wide + head * 3 * (e.units / e.heads), s.wide, s, own);
    }
  }
  team.wait();
}

// Only the first token of each sequence is wanted of the last layer: bring these rows to the top.
void keep_first(const Batch& b, int64_t from, int64_t to, const Space& s, const Team& team) {
  if (team.rank == 0) {
    for (int64_t n = from; n < to; ++n) {
      const int64_t row = b.first[n] - b.first[from];
      std::copy_n(s.hidden.get() + row * s.units, s.units, s.hidden.get() + (n - from) * s.units);
      std::copy_n(s.context.get() + row * s.units, s.units,
                  s.context.get() + (n - from) * s.units);
    }
  }
  team.wait();
}

// From the results of attention to the layer's output, in hidden, of the rows from `top` on. What
// is in between goes into the memory of the rows from `desk` on.
void transform(const Encoder& e, const Batch& b, const EncoderLayer& layer, int64_t top,
               int64_t rows, int64_t desk, const Space& s, const Team& team) {
  float *hidden = s.hidden.get() + top * s.units, *context = s.context.get() + top * s.units,
        *spare = s.spare.get() + desk * s.units, *large = s.large.get() + desk * s.wide;
  const auto run = [&](const Layer& dense, Activation activation, const float* x, int64_t ldx,
                       float* y, int64_t ldy) {
    run_dense(dense.get(), activation, x, ldx, rows, y, ldy, s.converted, team, desk);
  };
  observe(b, e, layer, 1, context, s.units, rows, e.units);
  run(layer.output, kNone, context, s.units, spare, s.units);
  add_norm(layer.attention_norm, spare, hidden, rows, s.units, hidden, team);
  observe(b, e, layer, 2, hidden, s.units, rows, e.units);
  run(layer.expand, e.activation, hidden, s.units, large, s.wide);
  observe(b, e, layer, 3, large, s.wide, rows, e.hidden_size);
  run(layer.contract, kNone, large, s.wide, spare, s.units);
  add_norm(layer.output_norm, spare, hidden, rows, s.units, hidden, team);
}

// The sequences from `from` to `to`, from ids to results.
void encode(const Encoder& e, const Batch& b, int64_t from, int64_t to, const Space& s, float* own,
            const Team& team) {
  int64_t rows = b.first[to] - b.first[from];
  float *hidden = s.hidden.get(), *context = s.context.get();
  embed(e, b, from, to, s, team);
  for (const EncoderLayer& layer : e.layers) {
    observe(b, e, layer, 0, hidden, s.units, rows, e.units);
    read_and_attend(e, b, layer, from, to, s, own, team);
    if (is_short(e, b, layer)) {
      keep_first(b, from, to, s, team);
      rows = to - from;
    }
    if (rows < kTall * team.size) {
      transform(e, b, layer, 0, rows, 0, s, team);
      continue;
    }
    const int64_t step = rows_at_a_time(layer.expand.get().precision, kStep);
    const int64_t mine = team.end(rows) - team.begin(rows), steps = (mine + step - 1) / step;
    for (int64_t i = 0; i < steps; ++i) {
      const int64_t top = mine * i / steps, end = mine * (i + 1) / steps;
      transform(e, b, layer, team.begin(rows) + top, end - top, team.begin(rows), s, Team());
    }
    team.wait();
  }
  if (b.sequence) {
    for (int64_t r = team.begin(rows); r < team.end(rows); ++r) {
      std::copy_n(hidden + r * s.units, e.units, b.sequence + (b.first[from] + r) * e.units);
    }
    team.wait();
    if (b.pooled) {
      keep_first(b, from, to, s, team);
    }
  }
  if (b.pooled) {
    run_dense(e.pooler->get(), e.pooler_activation, hidden, s.units, to - from, context, s.units,
              s.converted, team);
    for (int64_t n = team.begin(to - from); n < team.end(to - from); ++n) {
      std::copy_n(context + n * s.units, e.units, b.pooled + (from + n) * e.units);
    }
    team.wait();
  }
}

// Where the parts begin that the threads take one by one: whole sequences, the last also N.
std::vector<int64_t> divide(const Encoder& e, const Batch& b, int64_t threads) {
  const int64_t N = static_cast<int64_t>(b.first.size()) - 1, M = b.first.back();
  const int64_t most = rows_at_a_time(e.layers.front().expand.get().precision, kChunk);
  const int64_t size = std::max<int64_t>(1, std::min(most, (M + threads - 1) / threads));
  std::vector<int64_t> parts = {0};
  for (int64_t n = 0; n < N; ++n) {
    if (b.first[n + 1] - b.first[parts.back()] > size && n > parts.back()) {
      parts.push_back(n);
    }
  }
  parts.push_back(N);
  return parts;
}

// Whether the parts, taken in turn by the first thread that is free, keep all of them busy.
bool is_even(const Batch& b, const std::vector<int64_t>& parts, int64_t threads) {
  std::vector<int64_t> load(threads, 0);
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    *std::min_element(load.begin(), load.end()) += b.first[parts[i + 1]] - b.first[parts[i]];
  }
  const double mean = static_cast<double>(b.first.back()) / threads;
  return *std::max_element(load.begin(), load.end()) <= kUneven * mean;
}

int64_t attention_space(const Encoder& e, const Batch& b) {
  int64_t longest = 1;
  for (size_t n = 0; n + 1 < b.first.size(); ++n) {
    longest = std::max(longest, b.first[n + 1] - b.first[n]);
  }
  return backend().attention_space(longest, e.units / e.heads);
}

void encode_apart(const Encoder& e, const Batch& b, const std::vector<int64_t>& parts,
                  int threads) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    rows = std::max(rows, b.first[parts[i + 1]] - b.first[parts[i]]);
  }
  const int64_t count = static_cast<int64_t>(parts.size()) - 1;
  // An exception must not leave a thread: all memory is taken here.
  std::vector<Lent> spaces;
  for (int i = 0; i < threads; ++i) {
    spaces.emplace_back(e, rows, attention_space(e, b));
  }
#pragma omp parallel num_threads(threads)
  {
    const Space& space = spaces[omp_get_thread_num()].get();
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < count; ++i) {
      encode(e, b, parts[i], parts[i + 1], space, space.attention.get(), Team());
    }
  }
}

void encode_together(const Encoder& e, const Batch& b, int threads) {
  const int64_t each = (attention_space(e, b) + kLine - 1) / kLine * kLine;
  const Lent lent(e, b.first.back(), each * threads);
  const Space& space = lent.get();
#pragma omp parallel num_threads(threads)
  {
    const Team team{omp_get_thread_num(), omp_get_num_threads()};
    encode(e, b, 0, static_cast<int64_t>(b.first.size()) - 1, space,
           space.attention.get() + team.rank * each, team);
  }
}

}  // namespace

extern "C" {

// sizes: units, hidden_size, heads, layers, activation, activation of the pooler; then
// for each layer the precisions of query_key_value, output, expand and contract.
// arrays: words, token types or null, positions, gamma, beta; for each layer weight and bias of
// query_key_value and output, gamma, beta, weight and bias of expand and contract, gamma, beta;
// weight and bias of the pooler, or null twice. The first five and all gamma and beta are not
// copied. input_sizes: null, or those of query_key_value, output, expand and contract, layer by
// layer. Null if there is no memory.
void* gluon_bert_encoder(const int64_t* sizes, float eps, const float* const* arrays,
                         const float* const* input_sizes) try {
  auto e = std::make_unique<Encoder>();
  e->units = sizes[0];
  e->hidden_size = sizes[1];
  e->heads = sizes[2];
  e->activation = static_cast<Activation>(sizes[4]);
  e->pooler_activation = static_cast<Activation>(sizes[5]);
  e->words = arrays[0];
  e->token_types = arrays[1];
  e->positions = arrays[2];
  e->norm = {arrays[3], arrays[4], sizes[0], eps};
  const float* const* a = arrays + 5;
  const int64_t C = e->units, wide = e->hidden_size;
  for (int64_t i = 0; i < sizes[3]; ++i, a += 12) {
    const int64_t* p = sizes + 6 + 4 * i;
    const auto dense = [&](int number, int at, int64_t out, int64_t in) {
      return Layer(a[at], a[at + 1], out, in, static_cast<Precision>(p[number]),
                   input_sizes ? input_sizes[4 * i + number] : nullptr);
    };
    e->layers.push_back({dense(0, 0, 3 * C, C), dense(1, 2, C, C), {a[4], a[5], C, eps},
                         dense(2, 6, wide, C), dense(3, 8, C, wide), {a[10], a[11], C, eps}});
  }
  if (a[0]) {
    e->pooler = std::make_unique<Layer>(a[0], a[1], C, C, Precision::kFloat32, nullptr);
  }
  return e.release();
} catch (const std::bad_alloc&) {
  return nullptr;
}

// A dense layer by itself: a weight (out, in), a bias (out,), the number of a precision, and the
// sizes of the inputs or null.
void* gluon_bert_dense(const float* weight, const float* bias, int64_t out, int64_t in,
                       int64_t precision, const float* sizes) try {
  return new Layer(weight, bias, out, in, static_cast<Precision>(precision), sizes);
} catch (const std::bad_alloc&) {
  return nullptr;
}

// y (rows, out) of x (rows, in). 0, or 1 if there is no memory.
int gluon_bert_run_dense(const void* dense, const float* x, int64_t rows, int activation,
                         int threads, float* y) try {
  const Layer& layer = *static_cast<const Layer*>(dense);
  const int64_t in = layer.get().in, out = layer.get().out, wide = whole(out);
  const Converted converted(rows, layer.get().words);
  const Floats results(rows * wide);
#pragma omp parallel num_threads(threads)
  {
    const Team team{omp_get_thread_num(), omp_get_num_threads()};
    run_dense(layer.get(), static_cast<Activation>(activation), x, in, rows, results.get(), wide,
              converted, team);
    for (int64_t r = team.begin(rows); r < team.end(rows); ++r) {
      std::copy_n(results.get() + r * wide, out, y + r * out);
    }
  }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

void gluon_bert_free_dense(void* dense) { delete static_cast<Layer*>(dense); }

void gluon_bert_free_encoder(void* encoder) { delete static_cast<Encoder*>(encoder); }

// ids and types of all M valid tokens, the lengths of N sequences; sequence (M, C) and pooled
// (N, C), either may be null. squares: null, or, with one thread, an array for the inputs of each
// dense layer, to which their squares are added. Everything was checked by the caller. 0, or 1 if
// there is no memory.
int gluon_bert_encode(const void* encoder, const int32_t* ids, const int32_t* types,
                      const int32_t* lengths, int64_t N, int threads, float* sequence,
                      float* pooled, double* const* squares) try {
  const Encoder& e = *static_cast<const Encoder*>(encoder);
  Batch b{ids, types, {0}, sequence, pooled, squares};
  for (int64_t n = 0; n < N; ++n) {
    b.first.push_back(b.first.back() + lengths[n]);
  }
  const std::vector<int64_t> parts = divide(e, b, threads);
  if (threads == 1 || is_even(b, parts, threads)) {
    encode_apart(e, b, parts, threads);
  } else {
    encode_together(e, b, threads);
  }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // extern "C"
