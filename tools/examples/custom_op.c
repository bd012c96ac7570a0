/* An op of the app's own: a model has a node my.domain::Clip01, which this file implements.
 *   inlay convert custom_op.onnx -o custom_op.inlay --allow-custom
 *   custom_op_c custom_op.inlay */
#include <inlay/inlay.h>
#include <stdio.h>

/* The output is of the input's type. */
static inlay_status infer(void* user, inlay_node* node) {
  inlay_tensor x;
  (void)user;
  if (inlay_node_input(node, 0, &x)) return inlay_node_fail(node, INLAY_INVALID_MODEL, inlay_error());
  return inlay_node_set_type(node, 0, x.dtype, x.shape, x.rank);
}

static inlay_status compute(void* user, inlay_node* node) {
  inlay_tensor x, y;
  double low, high;
  int64_t i, count = 1;
  int32_t d;
  (void)user;
  if (inlay_node_float(node, "low", &low) || inlay_node_float(node, "high", &high) || inlay_node_input(node, 0, &x) ||
      inlay_node_output(node, 0, x.dtype, x.shape, x.rank, &y))
    return inlay_node_fail(node, INLAY_INVALID_MODEL, inlay_error());
  if (x.dtype != INLAY_F32) return inlay_node_fail(node, INLAY_UNSUPPORTED, "Clip01 takes f32");
  for (d = 0; d < x.rank; ++d) count *= x.shape[d];
  for (i = 0; i < count; ++i) {
    const float v = ((const float*)x.data)[i];
    ((float*)y.data)[i] = v < (float)low ? (float)low : v > (float)high ? (float)high : v;
  }
  return INLAY_OK;
}

int main(int argc, char** argv) {
  const inlay_custom_op op = {sizeof op, "my.domain", "Clip01", NULL, infer, compute};
  const inlay_custom_op* ops[] = {&op};
  inlay_model_options options = INLAY_MODEL_OPTIONS_INIT;
  const float data[] = {-1, 0.25f, 3};
  const int64_t shape[] = {3};
  inlay_tensor x = {(void*)data, shape, 1, INLAY_F32}, y;
  inlay_model* model = NULL;
  inlay_session* session = NULL;
  inlay_status status;
  options.custom_ops = ops, options.custom_op_count = 1;
  if (argc != 2) return fprintf(stderr, "usage: %s custom_op.inlay\n", argv[0]), 2;
  status = inlay_model_load(argv[1], &options, &model);
  if (!status) status = inlay_session_create(model, NULL, &session);
  if (!status) status = inlay_session_set_input(session, 0, &x);
  if (!status) status = inlay_session_run(session, NULL);
  if (!status) status = inlay_session_output(session, 0, &y);
  if (status) fprintf(stderr, "%s: %s\n", inlay_status_name(status), inlay_error());
  else printf("%g %g %g\n", ((float*)y.data)[0], ((float*)y.data)[1], ((float*)y.data)[2]);
  inlay_session_release(session);
  inlay_model_release(model);
  return status != INLAY_OK;
}
