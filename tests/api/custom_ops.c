/* The ops of an app that is written in C: what api_test.cpp does in C++, on the same file. C99. */
#include "custom_ops.h"
#include <inlay/inlay.h>
#include <stdio.h>
#include <string.h>

/* x times the attribute "by", in x's type. */
static inlay_status scale_infer(void* user, inlay_node* node) {
  inlay_tensor x;
  (void)user;
  if (inlay_node_input(node, 0, &x)) return inlay_node_fail(node, INLAY_INVALID_MODEL, "there is no x");
  return inlay_node_set_type(node, 0, x.dtype, x.shape, x.rank);
}
static inlay_status scale_compute(void* user, inlay_node* node) {
  inlay_tensor x, y;
  double by;
  int64_t i, n = 1;
  ++*(int*)user;
  if (inlay_node_input(node, 0, &x) || inlay_node_float(node, "by", &by)) return inlay_node_fail(node, INLAY_INVALID_MODEL, inlay_error());
  if (inlay_node_output(node, 0, x.dtype, x.shape, x.rank, &y)) return INLAY_INTERNAL;
  for (i = 0; i < x.rank; ++i) n *= x.shape[i];
  for (i = 0; i < n; ++i) ((float*)y.data)[i] = (float)(((const float*)x.data)[i] * by);
  return INLAY_OK;
}

/* The elements of x above zero: how many there are, only the run tells. */
static inlay_status positive_compute(void* user, inlay_node* node) {
  inlay_tensor x, y;
  int64_t i, count = 0;
  ++*(int*)user;
  if (inlay_node_input(node, 0, &x)) return INLAY_INTERNAL;
  for (i = 0; i < x.shape[0]; ++i) count += ((const float*)x.data)[i] > 0;
  if (inlay_node_output(node, 0, x.dtype, &count, 1, &y)) return INLAY_INTERNAL;
  for (i = 0, count = 0; i < x.shape[0]; ++i)
    if (((const float*)x.data)[i] > 0) ((float*)y.data)[count++] = ((const float*)x.data)[i];
  return INLAY_OK;
}

static char message[500];
#define EXPECT(CONDITION)                                                                                   \
  do {                                                                                                      \
    if (!(CONDITION)) {                                                                                     \
      snprintf(message, sizeof message, "line %d: %s (%.300s)", __LINE__, #CONDITION, inlay_error());       \
      return message;                                                                                       \
    }                                                                                                       \
  } while (0)

static const char* check_missing(const char* path, const inlay_custom_op* scale, const inlay_custom_op* positive) {
  inlay_model_options options = INLAY_MODEL_OPTIONS_INIT;
  inlay_model* model = NULL;
  inlay_session* session = NULL;
  inlay_tensor x, flag;
  float number = 1;
  uint8_t yes = 1;
  const int64_t one = 1;
  EXPECT(inlay_model_load(path, NULL, &model) == INLAY_OK); /* which can be looked at */
  EXPECT(inlay_model_input_count(model) == 2);
  EXPECT(inlay_session_create(model, NULL, &session) == INLAY_OK);
  x.data = &number, x.shape = &one, x.rank = 1, x.dtype = INLAY_F32;
  flag.data = &yes, flag.shape = NULL, flag.rank = 0, flag.dtype = INLAY_BOOL;
  EXPECT(inlay_session_set_input(session, 0, &x) == INLAY_OK && inlay_session_set_input(session, 1, &flag) == INLAY_OK);
  EXPECT(inlay_session_run(session, NULL) == INLAY_UNSUPPORTED);
  EXPECT(strstr(inlay_error(), "'app::Scale' of node twice (Scale)") && strstr(inlay_error(), "ten (Scale)") && strstr(inlay_error(), "'app::Positive' of node above (Positive)"));
  inlay_session_release(session);
  inlay_model_release(model);
  /* With one of the two, the other is what is missing. */
  options.custom_ops = &scale, options.custom_op_count = 1;
  EXPECT(inlay_model_load(path, &options, &model) == INLAY_UNSUPPORTED);
  EXPECT(strstr(inlay_error(), "above (Positive)") && !strstr(inlay_error(), "Scale"));
  options.custom_ops = &positive;
  EXPECT(inlay_model_load(path, &options, &model) == INLAY_UNSUPPORTED);
  EXPECT(strstr(inlay_error(), "twice (Scale)") && strstr(inlay_error(), "ten (Scale)") && !strstr(inlay_error(), "Positive"));
  return NULL;
}

const char* custom_ops_in_c(const char* path) {
  static const float numbers[] = {1, -2, 3, -4, 5};
  static const int64_t sizes[] = {5, 2, 0, 1};
  int scaled = 0, picked = 0;
  inlay_custom_op scale = INLAY_CUSTOM_OP_INIT, positive = INLAY_CUSTOM_OP_INIT;
  const inlay_custom_op* ops[2];
  inlay_model_options options = INLAY_MODEL_OPTIONS_INIT;
  inlay_model* model = NULL;
  inlay_session* session = NULL;
  size_t s;
  const char* missing;
  scale.domain = positive.domain = "app";
  scale.name = "Scale", scale.user = &scaled, scale.infer = scale_infer, scale.compute = scale_compute;
  positive.name = "Positive", positive.user = &picked, positive.compute = positive_compute;
  missing = check_missing(path, &scale, &positive);
  if (missing) return missing;

  ops[0] = &scale, ops[1] = &positive;
  options.custom_ops = ops, options.custom_op_count = 2;
  EXPECT(inlay_model_load(path, &options, &model) == INLAY_OK);
  EXPECT(inlay_session_create(model, NULL, &session) == INLAY_OK);
  for (s = 0; s < 2 * sizeof sizes / sizeof *sizes; ++s) {
    const int64_t n = sizes[s / 2];
    const uint8_t yes = s % 2;
    inlay_tensor x, flag, y;
    int64_t i, k = 0;
    x.data = (void*)numbers, x.shape = &n, x.rank = 1, x.dtype = INLAY_F32;
    flag.data = (void*)&yes, flag.shape = NULL, flag.rank = 0, flag.dtype = INLAY_BOOL;
    EXPECT(inlay_session_set_input(session, 0, &x) == INLAY_OK && inlay_session_set_input(session, 1, &flag) == INLAY_OK);
    EXPECT(inlay_session_run(session, NULL) == INLAY_OK);
    EXPECT(inlay_session_output(session, 0, &y) == INLAY_OK && y.rank == 1 && y.dtype == INLAY_F32);
    for (i = 0; i < n; ++i) { /* what is scaled by 2 and 10, or by 2 and picked, and negated */
      if (!yes && numbers[i] <= 0) continue;
      EXPECT(k < y.shape[0] && ((const float*)y.data)[k] == -numbers[i] * (yes ? 20 : 2));
      ++k;
    }
    EXPECT(k == y.shape[0]);
  }
  EXPECT(scaled > 0 && picked > 0);
  inlay_session_release(session);
  inlay_model_release(model);
  return NULL;
}
