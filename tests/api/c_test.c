/* The header in plain C99, and a run. */
#include <inlay/inlay.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(inlay_status status) {
  if (status == INLAY_OK) return;
  fprintf(stderr, "%s: %s\n", inlay_status_name(status), inlay_error());
  exit(1);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  inlay_model_options options = INLAY_MODEL_OPTIONS_INIT;
  inlay_session_options session_options = INLAY_SESSION_OPTIONS_INIT;
  inlay_value_info info = INLAY_VALUE_INFO_INIT;
  inlay_model* model = NULL;
  inlay_session* session = NULL;
  options.copy = 1;
  check(inlay_model_load(argv[1], &options, &model));
  check(inlay_model_input(model, 0, &info));
  printf("%s %s\n", info.name, info.text);
  session_options.threads = 1;
  check(inlay_session_create(model, &session_options, &session));
  inlay_model_release(model);
  if (inlay_session_run(session, NULL) != INLAY_INVALID_ARGUMENT || !strstr(inlay_error(), "is not set")) return 1;
  inlay_session_release(session);
  return 0;
}
