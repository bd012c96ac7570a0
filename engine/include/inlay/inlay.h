/* Inlay: loads .inlay files and runs them. This header is the stable surface of the library.
 *
 * The rules that keep an app working with every later library of the same soname:
 *   - Functions, enumerators and struct fields are only ever added; none is removed, renumbered or changed in meaning.
 *   - A struct that begins with `struct_size` grows at its end. The caller sets struct_size to sizeof of the struct it was
 *     compiled with (the INLAY_*_INIT macros do); the library takes fields that an older caller lacks as zero, refuses
 *     fields of a newer caller that it does not know unless they are zero, and fills no more than fits. Zero always
 *     means the default. The other structs never change.
 *   - A callback type never changes; a new one gets a new name.
 *
 * Errors: a function that can fail returns an inlay_status. On anything but INLAY_OK, inlay_error() says why, in words
 * that name the node, op, shapes and types concerned; outputs are left as they were, and the objects involved stay
 * usable. A null handle or a null pointer that is not said to be optional gives INLAY_INVALID_ARGUMENT.
 *
 * Threads: a model, a pool and a constant value may be used by any number of threads at once. A session, and a value that
 * is being filled, are used by one thread at a time; inlay_session_cancel alone may be called from any thread.
 *
 * Ownership: *_create, *_load and *_retain give a reference that *_release gives back; releasing NULL does nothing. What
 * depends on an object keeps it alive, so the order of releases does not matter. Strings and arrays behind a const
 * pointer belong to the object that they were asked of.
 *
 * Sizes are in bytes, extents in elements, times in nanoseconds, unless a name says otherwise. Text is UTF-8.
 */
#ifndef INLAY_INLAY_H_
#define INLAY_INLAY_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define INLAY_API
#else
#define INLAY_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- Version and errors ----------------------------------------------------------------------------------------- */

#define INLAY_VERSION_MAJOR 0
#define INLAY_VERSION_MINOR 1
#define INLAY_VERSION_PATCH 0

/* Of the library that is linked: major << 16 | minor << 8 | patch. */
INLAY_API uint32_t inlay_version(void);
INLAY_API const char* inlay_version_string(void); /* "0.1.0" */

typedef int32_t inlay_status;
enum {
  INLAY_OK = 0,
  INLAY_INVALID_ARGUMENT = 1, /* the caller's: a name, shape, type or option */
  INLAY_INVALID_MODEL = 2,    /* the model contradicts itself or the format, or its data does while it runs */
  INLAY_UNSUPPORTED = 3,      /* valid, but not something that this library or machine does */
  INLAY_LIMIT = 4,            /* larger than the caller's caps or the library's own limits allow */
  INLAY_IO = 5,               /* the operating system's answer */
  INLAY_CANCELLED = 6,        /* by inlay_session_cancel */
  INLAY_OUT_OF_MEMORY = 7,
  INLAY_TIMEOUT = 8, /* the run's deadline passed */
  INLAY_BUSY = 9,    /* an asynchronous run of this session is in progress */
  INLAY_INTERNAL = 10,
  INLAY_DEVICE_FAILED = 11 /* the answer of a device or its driver */
};

/* Why the last call of this thread that failed did so. Never NULL; valid until the thread's next failing call. */
INLAY_API const char* inlay_error(void);
/* The name of a status: "invalid_argument". "unknown" for a number that is none. */
INLAY_API const char* inlay_status_name(inlay_status status);

/* --- Types ------------------------------------------------------------------------------------------------------ */

/* Element types. Those under 8 bits are packed, the first element in the lowest bits. */
typedef int32_t inlay_dtype;
enum {
  INLAY_F32 = 0,
  INLAY_F64 = 1,
  INLAY_F16 = 2,
  INLAY_BF16 = 3,
  INLAY_I8 = 4,
  INLAY_I16 = 5,
  INLAY_I32 = 6,
  INLAY_I64 = 7,
  INLAY_U8 = 8,
  INLAY_U16 = 9,
  INLAY_U32 = 10,
  INLAY_U64 = 11,
  INLAY_BOOL = 12, /* a byte of 0 or 1 */
  INLAY_STRING = 13,
  INLAY_F8E4M3FN = 14,
  INLAY_F8E4M3FNUZ = 15,
  INLAY_F8E5M2 = 16,
  INLAY_F8E5M2FNUZ = 17,
  INLAY_F8E8M0 = 18,
  INLAY_F4E2M1 = 19,
  INLAY_I4 = 20,
  INLAY_U4 = 21,
  INLAY_I2 = 22,
  INLAY_U2 = 23
};
INLAY_API const char* inlay_dtype_name(inlay_dtype dtype); /* "f32"; NULL for a number that is none */

typedef int32_t inlay_kind;
enum { INLAY_TENSOR = 0, INLAY_SEQUENCE = 1, INLAY_OPTIONAL = 2, INLAY_MAP = 3 };

/* A tensor in memory that someone else owns: dense, row-major. A scalar has rank 0. This struct never changes. */
typedef struct inlay_tensor {
  void* data; /* aligned to its element; NULL for strings, which inlay_value_string reads */
  const int64_t* shape;
  int32_t rank;
  inlay_dtype dtype;
} inlay_tensor;

/* Bytes that the elements take, packed ones rounded up to whole bytes; -1 for strings and for an invalid tensor. */
INLAY_API int64_t inlay_tensor_bytes(const inlay_tensor* tensor);

/* What a model says of an input or output. */
typedef struct inlay_value_info {
  size_t struct_size;
  const char* name;
  inlay_kind kind;
  inlay_dtype dtype;    /* of a tensor; of a sequence's or an optional's tensors; of a map's values */
  int32_t rank;         /* -1: any, or not a tensor */
  const int64_t* shape; /* rank extents; -1: open */
  const char* const* symbols; /* rank names of open extents, as "batch" or "(past+1)"; "" for a number */
  const int64_t* upper; /* rank upper bounds; -1: none */
  const char* text;     /* "f32[batch,3,224,224]" */
  const char* image;    /* how raw pictures are prepared for this input, see inlay_session_set_picture; NULL: not at all */
} inlay_value_info;
#define INLAY_VALUE_INFO_INIT {sizeof(inlay_value_info), 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* --- Threads ---------------------------------------------------------------------------------------------------- */

/* Threads that runs divide their work over. Sessions share one without waiting for each other: a run that finds the pool
 * busy works on its own thread alone. Results have the same bits for any number of threads. */
typedef struct inlay_pool inlay_pool;

/* `threads` counts the one that calls run; 0: the physical cores that affinity and quota allow. Workers are pinned to
 * `cpus` (logical numbers), if `cpu_count` is not 0. */
INLAY_API inlay_status inlay_pool_create(int32_t threads, const int32_t* cpus, size_t cpu_count, inlay_pool** pool);
INLAY_API void inlay_pool_release(inlay_pool* pool);
INLAY_API int32_t inlay_pool_threads(const inlay_pool* pool); /* NULL: of the process' own pool */

/* --- Models ----------------------------------------------------------------------------------------------------- */

typedef int32_t inlay_device;
enum { INLAY_CPU = 0, INLAY_CUDA = 1 };
/* 1 if this library can run on the device, on this machine: INLAY_CUDA needs libinlay_cuda.so beside this library or where the
 * system looks for libraries (or the file that $INLAY_CUDA_LIBRARY names), a driver, and a GPU of compute capability 8.0 or more.
 * Where it gives 0, inlay_error() says what is missing. */
INLAY_API int32_t inlay_device_available(inlay_device device);

/* What the device may round operands of products and convolutions to, for its faster units; f16 and bf16 are also how it keeps values
 * between its steps, where finite numbers stay finite. Sums, norms, softmax and functions are computed in f32. INLAY_PRECISION_F32, which
 * is the default, leaves it to the file: f32, or what the model was converted with (convert --precision). INLAY_PRECISION_ONLY_F32 rounds nothing, whatever
 * the file says.
 * The CPU rounds nothing because of a file. It takes INLAY_PRECISION_F16 where it is 64-bit ARM with arithmetic in half precision: sums of up to
 * 64 products are rounded then, too, and numbers beyond 65504 become infinite. Any other CPU refuses it: INLAY_UNSUPPORTED. */
typedef int32_t inlay_precision;
enum { INLAY_PRECISION_F32 = 0, INLAY_PRECISION_TF32 = 1, INLAY_PRECISION_F16 = 2, INLAY_PRECISION_BF16 = 3, INLAY_PRECISION_ONLY_F32 = 4 };

/* An upper bound for a symbol of the model's inputs: memory is planned for it once, and any smaller extent runs on the
 * same plan. This struct never changes. */
typedef struct inlay_bound {
  const char* symbol;
  int64_t upper;
} inlay_bound;

/* An input that is fed from an output of the run before. This struct never changes. */
typedef struct inlay_state {
  const char* input;
  const char* output;
} inlay_state;

typedef struct inlay_custom_op inlay_custom_op; /* see the end of this file */

typedef struct inlay_model_options {
  size_t struct_size;
  inlay_device device;
  int32_t copy;             /* 1: read the file into memory, so that it may change or vanish; 0: map it */
  const char* max_isa;      /* "scalar", "avx2", "avx512", …: use nothing above; NULL: what the machine has */
  int64_t max_arena_bytes;  /* a plan that needs more is refused; 0: no cap */
  int64_t max_memory_bytes; /* of loading, and of each session: all that it holds, but for what describes plans; 0: no cap */
  double max_work;          /* operations of one run, planning included; 0: no cap */
  const inlay_bound* bounds; /* beside those that the file has */
  size_t bound_count;
  const inlay_state* states; /* beside those that the file has */
  size_t state_count;
  const inlay_custom_op* const* custom_ops; /* for the model's custom ops; copied */
  size_t custom_op_count;
  /* 1: no kernel whose error is larger than a direct sum's, such as Winograd convolution, and numbers below FLT_MIN are
   * kept. 0: during a run, also of custom ops, such numbers are zero, as some processors take many times as long with them. */
  int32_t strict;
  int32_t device_index;    /* which of the devices of this kind */
  int32_t device_fallback; /* 1: run on the CPU where the device is not available; 0: that is INLAY_UNSUPPORTED */
  inlay_precision precision; /* of the operands of products and convolutions */
  /* What `inlay tune` has measured on this machine, and plans follow: a file, read before this returns. One that another machine or version
   * has made is set aside: inlay_model_note says so. NULL: none. */
  const char* tune_cache;
} inlay_model_options;
#define INLAY_MODEL_OPTIONS_INIT {sizeof(inlay_model_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* A loaded model: its graph, its weights, and the plans made for it so far. */
typedef struct inlay_model inlay_model;

/* Loads a .inlay file. Header and graph are verified; weights are not read before a plan needs them. `options` may be
 * NULL. The file must not be truncated while a model maps it. */
INLAY_API inlay_status inlay_model_load(const char* path, const inlay_model_options* options, inlay_model** model);
/* The same from memory, which stays valid and unchanged until `release(user)` is called: on failure before this returns,
 * else when nothing of the model reads it any more, on whichever thread that is. `release` may be NULL for memory that
 * outlives every use. Data that is not aligned to 64 bytes is copied, and released before this returns. */
INLAY_API inlay_status inlay_model_load_memory(const void* data, size_t size, void (*release)(void* user), void* user,
                                               const inlay_model_options* options, inlay_model** model);
INLAY_API void inlay_model_retain(inlay_model* model);
INLAY_API void inlay_model_release(inlay_model* model);
/* What went other than asked when the model was loaded, yet is no failure: an option that could not be followed. Empty: nothing. */
INLAY_API const char* inlay_model_note(const inlay_model* model);

INLAY_API size_t inlay_model_input_count(const inlay_model* model);
INLAY_API size_t inlay_model_output_count(const inlay_model* model);
/* `info->struct_size` is set by the caller; what it points to lives as long as the model. */
INLAY_API inlay_status inlay_model_input(const inlay_model* model, size_t index, inlay_value_info* info);
INLAY_API inlay_status inlay_model_output(const inlay_model* model, size_t index, inlay_value_info* info);
/* The index of an input or output, by its ONNX name. */
INLAY_API inlay_status inlay_model_find_input(const inlay_model* model, const char* name, size_t* index);
INLAY_API inlay_status inlay_model_find_output(const inlay_model* model, const char* name, size_t* index);

/* --- Values: strings, and what is not a tensor -------------------------------------------------------------------- */

/* A value that owns its contents. */
typedef struct inlay_value inlay_value;

/* A tensor of numbers, copied from `tensor`; its data may be NULL for zeros. */
INLAY_API inlay_status inlay_value_create_tensor(const inlay_tensor* tensor, inlay_value** value);
/* A tensor of strings. `lengths` may be NULL where strings end with a zero byte. */
INLAY_API inlay_status inlay_value_create_strings(const char* const* strings, const size_t* lengths, const int64_t* shape,
                                                  int32_t rank, inlay_value** value);
/* A sequence of `count` items, which are copied; `dtype` is that of their elements, and says it for an empty one. */
INLAY_API inlay_status inlay_value_create_sequence(inlay_dtype dtype, const inlay_value* const* items, size_t count,
                                                   inlay_value** value);
/* An optional; `item` is copied, NULL makes it empty. */
INLAY_API inlay_status inlay_value_create_optional(inlay_dtype dtype, const inlay_value* item, inlay_value** value);
/* A map; keys (i64 or strings) and values are tensors of one dimension and of equal length, and copied. */
INLAY_API inlay_status inlay_value_create_map(const inlay_value* keys, const inlay_value* values, inlay_value** value);
INLAY_API void inlay_value_release(inlay_value* value);

INLAY_API inlay_kind inlay_value_kind(const inlay_value* value);
/* The tensor that a value is; valid as long as the value is not changed. */
INLAY_API inlay_status inlay_value_tensor(const inlay_value* value, inlay_tensor* tensor);
/* Element `index` of a string tensor, in row-major order; it also ends with a zero byte. `length` may be NULL. */
INLAY_API inlay_status inlay_value_string(const inlay_value* value, size_t index, const char** data, size_t* length);
/* Items of a sequence; 1 or 0 of an optional; 2 of a map, its keys and its values; 0 of a tensor. */
INLAY_API size_t inlay_value_count(const inlay_value* value);
/* An item; it belongs to `value`, and is not released. */
INLAY_API inlay_status inlay_value_item(const inlay_value* value, size_t index, const inlay_value** item);

/* --- Sessions --------------------------------------------------------------------------------------------------- */

typedef struct inlay_session_options {
  size_t struct_size;
  int32_t threads;       /* at most so many of the pool's; 0: all */
  int32_t manual_states; /* 1: the caller feeds states like any input */
  inlay_pool* pool;      /* NULL: the process' own, made on first use; none is made for one thread */
} inlay_session_options;
#define INLAY_SESSION_OPTIONS_INIT {sizeof(inlay_session_options), 0, 0, 0}

/* One execution of a model at a time: memory for its tensors, and its states. Cheap; one per thread. */
typedef struct inlay_session inlay_session;

INLAY_API inlay_status inlay_session_create(inlay_model* model, const inlay_session_options* options,
                                            inlay_session** session);
/* Cancels an asynchronous run and waits for it. Not to be called from a callback of the same session. */
INLAY_API void inlay_session_release(inlay_session* session);

/* The value of input `index` from now on. The shape is copied; the data is read in place by every later run, and is the
 * caller's. An input that is a state takes it for the next run, and goes on from there. */
INLAY_API inlay_status inlay_session_set_input(inlay_session* session, size_t index, const inlay_tensor* tensor);
/* The same for a value of any kind, which stays unchanged and alive while runs read it. */
INLAY_API inlay_status inlay_session_set_input_value(inlay_session* session, size_t index, const inlay_value* value);

/* Bytes of a pixel, in memory order; an alpha is ignored. NV12 is a plane of luma, and one of U, V pairs at half the width
 * and height (rounded up), in BT.601 limited range. */
typedef int32_t inlay_pixel_format;
enum { INLAY_RGB = 0, INLAY_RGBA = 1, INLAY_BGR = 2, INLAY_BGRA = 3, INLAY_NV12 = 4, INLAY_GREY = 5 };

/* A picture in the caller's memory. Strides are bytes from row to row; 0: rows follow each other; negative: the last row
 * comes first, and `data` is still that of the top row. This struct never changes. */
typedef struct inlay_picture {
  const uint8_t* data;
  int64_t stride;
  const uint8_t* uv; /* of NV12; NULL: right behind the last row of luma */
  int64_t uv_stride; /* 0: as the luma's, or what a row needs if that is more */
  int32_t width, height; /* pixels */
  inlay_pixel_format format;
} inlay_picture;

/* The value of input `index` from now on is what the model's image spec (inlay_value_info.image, from `inlay convert
 * --image`) makes of the picture: resized, cut out, ordered and normalised. The picture is not read after this returns. A
 * second one of a size allocates nothing, and no size needs another plan. */
INLAY_API inlay_status inlay_session_set_picture(inlay_session* session, size_t index, const inlay_picture* picture);

/* Where output `index` is written to from now on, in the caller's memory: a tensor of numbers of the very type and shape
 * that the run gives, else the run fails. NULL: the session's own memory. */
INLAY_API inlay_status inlay_session_set_output(inlay_session* session, size_t index, const inlay_tensor* tensor);

/* Plans for the inputs as they are, and allocates: what a first run does before it computes. */
INLAY_API inlay_status inlay_session_prepare(inlay_session* session);

typedef struct inlay_run_options {
  size_t struct_size;
  int64_t timeout_ns; /* the run ends with INLAY_TIMEOUT soon after, between two steps or loop iterations; 0: no deadline */
} inlay_run_options;
#define INLAY_RUN_OPTIONS_INIT {sizeof(inlay_run_options), 0}

/* Runs. With inputs of the shapes of an earlier run it allocates nothing (strings, values that are not tensors, sizes
 * found at run, and the ops that README.md names aside). `options` may be NULL. */
INLAY_API inlay_status inlay_session_run(inlay_session* session, const inlay_run_options* options);

/* Called when an asynchronous run ends, on the session's own thread. `error` is inlay_error() of the run. It may set
 * inputs, read outputs and start the next run. */
typedef void (*inlay_done)(void* user, inlay_session* session, inlay_status status, const char* error);
/* Runs on a thread that the session makes for itself, and returns at once. Until the run has ended, every call on the
 * session but cancel and wait gives INLAY_BUSY. `done` may be NULL. */
INLAY_API inlay_status inlay_session_run_async(inlay_session* session, const inlay_run_options* options, inlay_done done,
                                               void* user);
/* Waits until no asynchronous run is in progress and its callback has returned; gives the status of the last one. */
INLAY_API inlay_status inlay_session_wait(inlay_session* session);
/* From any thread: the run in progress, if there is one, ends soon with INLAY_CANCELLED. */
INLAY_API void inlay_session_cancel(inlay_session* session);

/* Output `index` of the last run that succeeded; valid until the next run. A tensor of numbers. */
INLAY_API inlay_status inlay_session_output(inlay_session* session, size_t index, inlay_tensor* tensor);
/* A copy of an output of any kind, which the caller releases. */
INLAY_API inlay_status inlay_session_output_value(inlay_session* session, size_t index, inlay_value** value);

/* Forgets the states: each starts from zeros, or from what the caller sets. */
INLAY_API inlay_status inlay_session_reset_states(inlay_session* session);

typedef struct inlay_memory_info {
  size_t struct_size;
  int64_t arena_bytes;             /* what the session's tensors take, its bodies and later segments with them */
  int64_t arena_lower_bound_bytes; /* what no plan of the same steps can go below */
} inlay_memory_info;
#define INLAY_MEMORY_INFO_INIT {sizeof(inlay_memory_info), 0, 0}
/* Of the shapes prepared last. */
INLAY_API inlay_status inlay_session_memory(inlay_session* session, inlay_memory_info* info);

/* A step of a run, for a profiler. */
typedef struct inlay_step {
  size_t struct_size;  /* what this library fills */
  uint64_t index;      /* within its plan */
  const char* origins; /* the ONNX nodes that it stands for: "conv1 (Conv), relu1 (Relu)" */
  const char* op;
  const char* kernel; /* "reference": no kernel accepts it */
  int64_t time_ns;
  double flops, bytes; /* by the op's cost model; 0: not known */
} inlay_step;
typedef void (*inlay_profiler)(void* user, const inlay_step* step);
/* Called after each step of the runs from now on, on the thread that runs; NULL: no more. */
INLAY_API inlay_status inlay_session_set_profiler(inlay_session* session, inlay_profiler profiler, void* user);

/* --- Memory of a device ------------------------------------------------------------------------------------------ */

/* Like inlay_session_set_input and inlay_session_set_output, of memory on the device that the model runs on (what
 * DLPack calls kDLCUDA): nothing passes through the host where the steps at either end are on the device. While
 * addresses stay the same, runs are replayed; new ones are recorded again. Addresses are multiples of an element's
 * size. inlay_session_output gives the address on the device of an output that goes there. A model that is not on a
 * device gives INLAY_INVALID_ARGUMENT. */
INLAY_API inlay_status inlay_session_set_device_input(inlay_session* session, size_t index, const inlay_tensor* tensor);
INLAY_API inlay_status inlay_session_set_device_output(inlay_session* session, size_t index, const inlay_tensor* tensor);
/* The application's own stream (a cudaStream_t, other than the default one) that the session's work on the device goes to, behind what
 * is in it; NULL: the session's. A run ends when its results are there. */
INLAY_API inlay_status inlay_session_set_stream(inlay_session* session, void* stream);

/* --- Custom ops ------------------------------------------------------------------------------------------------- */

/* A node of an op that the app brings, during a call of `infer` or `compute`, and no longer. */
typedef struct inlay_node inlay_node;

/* An op that the app brings, for the nodes that `inlay convert --allow-custom` left in a model. Both functions may be
 * called by several threads at once, and must not throw; equal nodes with equal inputs are computed once. On failure they
 * return a status, and say why with inlay_node_fail. */
struct inlay_custom_op {
  size_t struct_size;
  const char* domain; /* "": ONNX's own */
  const char* name;
  void* user; /* passed to both; lives as long as the models that are loaded with the op, and their sessions */
  /* Says the types of the outputs, as far as those of the inputs tell, with inlay_node_set_type. NULL: the run finds them. */
  inlay_status (*infer)(void* user, inlay_node* node);
  /* Computes the outputs: inlay_node_output gives the memory of each. */
  inlay_status (*compute)(void* user, inlay_node* node);
};
#define INLAY_CUSTOM_OP_INIT {sizeof(inlay_custom_op), 0, 0, 0, 0, 0}

INLAY_API size_t inlay_node_input_count(const inlay_node* node); /* absent ones included, but for the last */
INLAY_API size_t inlay_node_output_count(const inlay_node* node);
/* An input, valid during the call. In `infer`, data is NULL, extents that are not known are -1, and so is an unknown rank. An
 * absent input has dtype -1, and nothing else. Strings, and values that are not tensors, give INLAY_UNSUPPORTED. */
INLAY_API inlay_status inlay_node_input(const inlay_node* node, size_t index, inlay_tensor* tensor);
/* In `infer`: the type of an output. Extents may be -1, and the rank, for what the run finds. */
INLAY_API inlay_status inlay_node_set_type(inlay_node* node, size_t index, inlay_dtype dtype, const int64_t* shape, int32_t rank);
/* In `compute`: makes an output a tensor of this type, and gives its memory. Where `infer` said the type, it is the same. An
 * output that the model leaves out has dtype -1, and nothing else. */
INLAY_API inlay_status inlay_node_output(inlay_node* node, size_t index, inlay_dtype dtype, const int64_t* shape, int32_t rank,
                                         inlay_tensor* tensor);
/* Attributes, by name; INLAY_INVALID_ARGUMENT if there is none, or one of another type. What they point to lives as long
 * as the call. */
INLAY_API size_t inlay_node_attribute_count(const inlay_node* node, const char* name); /* values of a list; 1; 0: there is none */
INLAY_API inlay_status inlay_node_int(const inlay_node* node, const char* name, int64_t* value);
INLAY_API inlay_status inlay_node_float(const inlay_node* node, const char* name, double* value);
INLAY_API inlay_status inlay_node_ints(const inlay_node* node, const char* name, const int64_t** values, size_t* count);
INLAY_API inlay_status inlay_node_floats(const inlay_node* node, const char* name, const double** values, size_t* count);
/* String `index` of a list, or 0 for an attribute that is one string; it also ends with a zero byte. `length` may be NULL. */
INLAY_API inlay_status inlay_node_string(const inlay_node* node, const char* name, size_t index, const char** value,
                                         size_t* length);
/* Keeps the message for the error that a failing status becomes; returns the status. */
INLAY_API inlay_status inlay_node_fail(inlay_node* node, inlay_status status, const char* message);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* INLAY_INLAY_H_ */
