// Random numbers for dropout, the same on all processors.
#ifndef GLUON_BERT_RANDOM_H_
#define GLUON_BERT_RANDOM_H_

#include <cstdint>

#ifdef __GNUC__
#define INLINED inline __attribute__((always_inline))
#else
#define INLINED inline
#endif

namespace {

constexpr int kStreams = 16;  // in parallel, as many as the widest registers hold

INLINED uint64_t split_mix(uint64_t* state) {  // Steele, Lea and Flood (2014)
  uint64_t z = *state += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

struct Streams {
  INLINED explicit Streams(uint64_t* seed) {
    for (int i = 0; i < kStreams; ++i) {
      state[i] = static_cast<uint32_t>(split_mix(seed) >> 32) | 1u;
    }
  }

  INLINED uint32_t next(int stream) {
    uint32_t s = state[stream];  // xorshift32, Marsaglia (2003), with mixed output
    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    state[stream] = s;
    uint32_t drawn = s * 0x9e3779b1u;
    drawn ^= drawn >> 15;
    drawn *= 0x85ebca6bu;
    return drawn ^ (drawn >> 13);
  }

  uint32_t state[kStreams];
};

// A number is dropped if its random number is below this.
inline uint32_t threshold(float rate) { return static_cast<uint32_t>(rate * 4294967296.0); }

}  // namespace

#endif  // GLUON_BERT_RANDOM_H_
