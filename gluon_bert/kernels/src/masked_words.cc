// The loss of masked words: cross-entropy over all words of the vocabulary.
#include <new>
#include <vector>

#include "decoder.h"

namespace {

// The results of the forward pass, each (P,).
struct Losses {
  const int32_t* words;
  float *losses, *hits, *maxima, *sums;
  std::vector<float> scores;    // of the masked words
  std::vector<uint8_t> beaten;  // if a word before it in its chunk has no lower score
};

void find_masked(const Block& block, int64_t n, const WordScores& s, Losses* results) {
  for (int64_t j = 0; j < block.count; ++j) {
    const int64_t p = block.top + j, word = results->words[p] - n * kWords;
    if (word < 0 || word >= s.words) {
      continue;
    }
    const auto score = [&](int64_t i) { return s.products[i * s.stride + j] + s.bias[i]; };
    results->scores[p] = score(word);
    results->beaten[p] = 0;
    for (int64_t i = 0; i < word && !results->beaten[p]; ++i) {
      results->beaten[p] = score(i) >= score(word);
    }
  }
}

// Write the results of position j of a block.
void write_loss(const Block& block, int64_t j, const Partial& partial, Losses* results) {
  const int64_t p = block.top + j, own = results->words[p] / kWords;
  const float score = results->scores[p], maximum = partial.maximum(j);
  const double sum = partial.sum(j, maximum);
  const double loss = std::log(sum) - (static_cast<double>(score) - maximum);
  bool is_best = score == maximum && loss == loss && !results->beaten[p];
  for (int64_t n = 0; n < own && is_best; ++n) {
    is_best = partial.maximum(n, j) < score;
  }
  results->losses[p] = static_cast<float>(loss);
  results->hits[p] = is_best;
  results->maxima[p] = maximum;
  results->sums[p] = static_cast<float>(sum);
}

}  // namespace

extern "C" {

// Compute the loss of each masked word. sizes, arrays, rows: see make_decoder. words: ids, (P,).
// Outputs, (P,): losses; hits, 1 where the word has the highest score, of equal ones the lowest id;
// for the backward pass the largest score and the sum of exp(score - largest). The caller checks all
// arguments. Returns 0, or 1 if there is no memory.
int gluon_bert_masked_words(const int64_t* sizes, const float* const* arrays, const int64_t* rows,
                            const int32_t* words, int threads, float* losses, float* hits,
                            float* maxima, float* sums) try {
  const Decoder d = make_decoder(sizes, arrays, rows);
  const Scratch scratch(d, threads, threads);
  const Partial partial(d);
  Losses results{words, losses, hits, maxima, sums, std::vector<float>(d.positions),
                 std::vector<uint8_t>(d.positions)};
  run_parallel(threads, [&](const ThreadGroup& group) {
    each_block(d, [&](int64_t top, int64_t count) {
      const Block block{d, scratch, group, top, count};
      each_chunk(block, [&](int64_t n, const WordScores& scores) {
        partial.add(n, scores);
        find_masked(block, n, scores, &results);
      });
      for (int64_t j = group.begin(count); j < group.end(count); ++j) {
        write_loss(block, j, partial, &results);
      }
      group.barrier();
    });
  });
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // extern "C"
