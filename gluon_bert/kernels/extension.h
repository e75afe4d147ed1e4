// What the operators share.
#ifndef GLUON_BERT_EXTENSION_H_
#define GLUON_BERT_EXTENSION_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "mxnet/lib_api.h"

using namespace mxnet::ext;
using Attributes = std::unordered_map<std::string, std::string>;

inline float number(const Attributes& attributes, const char* name, float otherwise) {
  auto found = attributes.find(name);
  return found == attributes.end() ? otherwise : std::stof(found->second);
}

// MXNet does not tell an extension the mode. An input does: what MXNet's own dropout makes of a 1,
// which is 1 in inference and something else in training.
inline bool is_training(MXTensor& mode) { return *mode.data<float>() != 1.0f; }

inline uint64_t draw_seed(const OpResource& resource) {
  auto& generator = *resource.get_cpu_rand_states();  // seeded by mx.random.seed
  const uint64_t high = generator();
  return (high << 32) ^ generator();
}

#endif  // GLUON_BERT_EXTENSION_H_
