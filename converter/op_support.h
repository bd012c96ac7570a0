// What the converter takes, found out by trying: for each op of ONNX, which versions, which dtypes, and what runs them.
#pragma once
#include <string>
#include <vector>
#include "schema/dtypes.h"

namespace converter {
struct OpSupport {
  std::string domain, name;  // "ai.onnx": ONNX's own
  bool supported = false;
  std::string reason;                       // why not, in the importer's words; empty if no row of it names the op
  std::vector<std::pair<int, int>> opsets;  // from, to; versions of the op's domain
  struct Types {
    std::string name;  // of a type parameter, nearly as ONNX has it
    std::vector<schema::DType> dtypes;
  };
  std::vector<Types> types;          // of tensors, and of what sequences and optionals hold
  std::vector<std::string> kernels;  // that run it in f32 without vector instructions; "reference" with them, or alone
};
// The ops of op_samples.def, and any that has a row in a table of the importer and none there. Ordered by domain and
// name. Takes a few seconds.
std::vector<OpSupport> op_support();
}  // namespace converter
