/* Inlay's converter: an ONNX file becomes a .inlay file. A library of its own, since it needs protobuf and the runtime
 * does not. The rules of inlay.h on compatibility, errors and ownership hold here too. */
#ifndef INLAY_CONVERT_H_
#define INLAY_CONVERT_H_

#include <inlay/inlay.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The shape of an input that the model leaves open. This struct never changes. */
typedef struct inlay_fixed_shape {
  const char* input;
  const int64_t* shape;
  int32_t rank;
} inlay_fixed_shape;

/* How raw pictures become an input, see inlay_session_set_picture: "rgb,resize:224x224,mean:0.5,std:0.5", as `inlay run -h`
 * describes it. This struct never changes. */
typedef struct inlay_image {
  const char* input;
  const char* spec;
} inlay_image;

/* Called as conversion goes on, on the thread that converts: `done` of `total` parts of a stage ("import", "passes"). */
typedef void (*inlay_convert_progress)(void* user, const char* stage, int64_t done, int64_t total);

typedef struct inlay_convert_options {
  size_t struct_size;
  const inlay_fixed_shape* fixed;
  size_t fixed_count;
  inlay_convert_progress progress;
  void* user;           /* of `progress` */
  int32_t allow_custom; /* 1: nodes whose op is not known are kept, for inlay_model_options.custom_ops */
  const inlay_image* images;
  size_t image_count;
  const inlay_bound* bounds;
  size_t bound_count;
  const inlay_state* states;
  size_t state_count;
} inlay_convert_options;
#define INLAY_CONVERT_OPTIONS_INIT {sizeof(inlay_convert_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* Converts the model and replaces the file at `inlay_path` in one step; on failure nothing is left behind. External
 * weights are looked for beside the model, and nowhere else. `options` may be NULL. A model with nodes that are not
 * supported gives INLAY_UNSUPPORTED, and a message that names each with its reason. */
INLAY_API inlay_status inlay_convert(const char* onnx_path, const char* inlay_path, const inlay_convert_options* options);

/* Why the last conversion of this thread that failed did so: all of the message, however long. Valid until the next. */
INLAY_API const char* inlay_convert_error(void);

#ifdef __cplusplus
}
#endif
#endif /* INLAY_CONVERT_H_ */
