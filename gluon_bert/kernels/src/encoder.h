// The encoder for inference: its weights, its workspaces and a batch. Included by encoder.cc.
#ifndef GLUON_BERT_ENCODER_H_
#define GLUON_BERT_ENCODER_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "backend.h"
#include "dense_layer.h"
#include "thread_group.h"

namespace {

struct EncoderLayer {
  DenseLayer query_key_value, output;
  Norm attention_norm;
  DenseLayer expand, contract;
  Norm output_norm;
};

struct Workspace;

struct Encoder {
  int64_t units, hidden_size, heads;
  Activation activation, pooler_activation;
  const float *word_embeddings, *type_embeddings, *position_embeddings;
  Norm norm;
  std::vector<EncoderLayer> layers;
  std::unique_ptr<DenseLayer> pooler;
  FloatBuffer packed;  // the weights of all dense layers
  // Workspaces of earlier calls, for reuse: the first write to fresh memory is slow. Guarded by
  // workspace_mutex().
  mutable std::vector<std::unique_ptr<Workspace>> idle;

  Encoder();
  ~Encoder();
};

// Buffers for up to `rows` rows and `attention_size` floats of attention scratch.
struct Workspace {
  Workspace(const Encoder& e, int64_t rows, int64_t attention_size)
      : rows(rows), attention_size(attention_size),
        ffn_stride(std::max(pad_columns(e.hidden_size), pad_columns(3 * e.units)) + kRowPad),
        stride(pad_columns(e.units) + kRowPad),
        hidden(rows * stride), context(rows * stride), tmp(rows * stride),
        ffn_buffer(rows * ffn_stride), attention(attention_size), converted(rows, ffn_stride) {}
  int64_t rows, attention_size;
  int64_t ffn_stride, stride;  // floats from row to row: of ffn_buffer; of hidden, context and tmp
  FloatBuffer hidden, context, tmp;
  FloatBuffer ffn_buffer;  // also holds queries, keys and values
  FloatBuffer attention;
  ConvertedRows converted;
};

Encoder::Encoder() = default;
Encoder::~Encoder() = default;

// Borrow a workspace: an idle one if it is large enough, else a new one. It becomes idle again when
// the lease ends.
class WorkspaceLease {
 public:
  WorkspaceLease(const Encoder& e, int64_t rows, int64_t attention_size) : encoder_(e) {
    {
      std::lock_guard<std::mutex> lock(workspace_mutex());
      if (!e.idle.empty()) {
        workspace_ = std::move(e.idle.back());
        e.idle.pop_back();
      }
    }
    if (!workspace_ || workspace_->rows < rows || workspace_->attention_size < attention_size) {
      workspace_.reset();
      workspace_ = std::make_unique<Workspace>(e, rows, attention_size);
    }
  }
  WorkspaceLease(WorkspaceLease&&) = default;
  ~WorkspaceLease() {
    if (workspace_) {
      std::lock_guard<std::mutex> lock(workspace_mutex());
      encoder_.idle.push_back(std::move(workspace_));
    }
  }
  const Workspace& get() const { return *workspace_; }

 private:
  const Encoder& encoder_;
  std::unique_ptr<Workspace> workspace_;
};

struct Batch {
  const int32_t *ids, *types;        // (M,)
  std::vector<int64_t> row_offsets;  // first row of each sequence, then M: (N + 1,)
  float *sequence, *pooled;          // outputs (M, C) and (N, C), each null if not needed
  // One array for each dense layer, to which the squares of its inputs are added; or null.
  double* const* squares;
};

}  // namespace

#endif  // GLUON_BERT_ENCODER_H_
