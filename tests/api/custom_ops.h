/* Runs the model of `path` (`custom_ops_in_if` of models.h) with ops that are implemented in C. NULL, or what went wrong. */
#ifdef __cplusplus
extern "C"
#endif
const char* custom_ops_in_c(const char* path);
