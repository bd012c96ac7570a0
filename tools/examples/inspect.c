/* A C app: what a model takes and gives, and a run of it on zeros.
 *   inspect_c model.inlay */
#include <inlay/inlay.h>
#include <stdio.h>
#include <stdlib.h>

static void check(inlay_status status) {
  if (status == INLAY_OK) return;
  fprintf(stderr, "%s: %s\n", inlay_status_name(status), inlay_error());
  exit(1);
}

int main(int argc, char** argv) {
  inlay_model* model = NULL;
  inlay_session* session = NULL;
  size_t k;
  int32_t i;
  if (argc != 2) return fprintf(stderr, "usage: %s model.inlay\n", argv[0]), 2;
  check(inlay_model_load(argv[1], NULL, &model));
  check(inlay_session_create(model, NULL, &session));
  for (k = 0; k < inlay_model_input_count(model); ++k) {
    inlay_value_info info = INLAY_VALUE_INFO_INIT;
    int64_t shape[32];
    inlay_tensor zeros = {NULL, NULL, 0, 0};
    check(inlay_model_input(model, k, &info));
    printf("input  %s: %s\n", info.name, info.text);
    if (info.kind != INLAY_TENSOR || info.rank < 0 || info.dtype == INLAY_STRING) return puts("this needs a value of yours"), 1;
    for (i = 0; i < info.rank; ++i) shape[i] = info.shape[i] < 0 ? 1 : info.shape[i]; /* open extents are 1 */
    zeros.shape = shape, zeros.rank = info.rank, zeros.dtype = info.dtype;
    zeros.data = calloc(1, (size_t)inlay_tensor_bytes(&zeros) + 1); /* lives as long as the runs that read it */
    if (!zeros.data) return 1;
    check(inlay_session_set_input(session, k, &zeros));
  }
  check(inlay_session_run(session, NULL));
  for (k = 0; k < inlay_model_output_count(model); ++k) {
    inlay_value_info info = INLAY_VALUE_INFO_INIT;
    inlay_tensor out;
    check(inlay_model_output(model, k, &info));
    check(inlay_session_output(session, k, &out));
    printf("output %s: %s, %lld bytes\n", info.name, info.text, (long long)inlay_tensor_bytes(&out));
  }
  inlay_session_release(session);
  inlay_model_release(model);
  return 0;
}
