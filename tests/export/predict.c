/* A client of MXNet's C interface: reads a network and inputs, writes the first output.
 *
 *     predict SYMBOL PARAMS N T < inputs > outputs
 *
 * Inputs are N * T ids, N * T token types and N lengths as float32; so are the outputs. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <mxnet/c_predict_api.h>

static char *read_file(const char *path, long *size) {
  FILE *file = fopen(path, "rb");
  if (!file) exit(2);
  fseek(file, 0, SEEK_END);
  *size = ftell(file);
  rewind(file);
  char *text = malloc(*size + 1);
  if (fread(text, 1, *size, file) != (size_t)*size) exit(2);
  text[*size] = 0;
  fclose(file);
  return text;
}

static void check(int status) {
  if (status) {
    fprintf(stderr, "%s\n", MXGetLastError());
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  long length, size;
  char *symbol = read_file(argv[1], &length), *params = read_file(argv[2], &size);
  mx_uint n = atoi(argv[3]), t = atoi(argv[4]), counts[] = {n * t, n * t, n};
  const char *names[] = {"data0", "data1", "data2"};
  mx_uint starts[] = {0, 2, 4, 5}, shapes[] = {n, t, n, t, n};
  PredictorHandle handle;
  check(MXPredCreate(symbol, params, size, 1, 0, 3, names, starts, shapes, &handle));
  for (int i = 0; i < 3; i++) {
    float *data = malloc(counts[i] * sizeof(float));
    if (fread(data, sizeof(float), counts[i], stdin) != counts[i]) return 2;
    check(MXPredSetInput(handle, names[i], data, counts[i]));
    free(data);
  }
  check(MXPredForward(handle));
  mx_uint *shape, ndim, total = 1;
  check(MXPredGetOutputShape(handle, 0, &shape, &ndim));
  for (mx_uint i = 0; i < ndim; i++) total *= shape[i];
  float *output = malloc(total * sizeof(float));
  check(MXPredGetOutput(handle, 0, output, total));
  fwrite(output, sizeof(float), total, stdout);
  MXPredFree(handle);
  return 0;
}
