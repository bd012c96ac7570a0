// inlay ops: what of ONNX is supported, as found out by trying.
#include <algorithm>
#include "converter/op_support.h"
#include "tools/json.h"
#include "tools/problem.h"
#include "tools/verbs.h"

namespace tools {
namespace {
using converter::OpSupport;

struct OpsArguments {
  std::string op;
  bool json = false, markdown = false;
};

std::string joined(const std::vector<std::string>& parts, const char* between = ", ") {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}
void add_once(std::vector<std::string>& to, std::string_view text) {
  if (std::ranges::find(to, text) == to.end()) to.emplace_back(text);
}

// Words for dtypes that mostly come together.
struct Set {
  const char* name;
  std::vector<DType> dtypes;
};
const std::vector<Set>& sets() {
  static const std::vector<Set> all{
      {"float", {DType::f32, DType::f64, DType::f16, DType::bf16}},
      {"int", {DType::i8, DType::i16, DType::i32, DType::i64, DType::u8, DType::u16, DType::u32, DType::u64}},
      {"float8", {DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2, DType::f8e5m2fnuz, DType::f8e8m0}},
      {"small int", {DType::i4, DType::u4, DType::i2, DType::u2}}};
  return all;
}
std::string text_of(std::vector<DType> dtypes) {
  if (dtypes.size() == schema::names<DType>.size()) return "any";
  std::vector<std::string> words;
  for (const Set& set : sets()) {
    const auto has = [&](DType d) { return std::ranges::find(dtypes, d) != dtypes.end(); };
    if (!std::ranges::all_of(set.dtypes, has)) continue;
    words.emplace_back(set.name);
    std::erase_if(dtypes, [&](DType d) { return std::ranges::find(set.dtypes, d) != set.dtypes.end(); });
  }
  for (DType d : dtypes) words.emplace_back(name(d));
  return joined(words);
}
std::string types_of(const OpSupport& op) {
  std::vector<std::string> all;
  for (const auto& [name, dtypes] : op.types) all.push_back(name + ": " + text_of(dtypes));
  return joined(all, "; ");
}

std::string opsets_of(const OpSupport& op) {
  std::vector<std::string> all;
  for (const auto& [first, last] : op.opsets) all.push_back(first == last ? cat(first) : cat(first, '-', last));
  return joined(all);
}

std::string_view family_of(std::string_view kernel) {
  for (const KernelRow& row : kernel_rows())
    if (row.name == kernel) return row.family;
  return kernel;  // a copy, or the reference
}
// The families of kernels that serve it, and "reference" where what they do not take is left to it, or all is.
std::vector<std::string> families_of(const OpSupport& op) {
  std::vector<std::string> all;
  for (const std::string& kernel : op.kernels) add_once(all, family_of(kernel));
  const auto reference = std::ranges::find(all, "reference");
  if (reference != all.end()) std::rotate(reference, reference + 1, all.end());
  return all;
}
std::string runs_as(const OpSupport& op) {
  const auto families = families_of(op);
  return families.empty() ? "no step" : joined(families);
}

Json to_json(const OpSupport& op) {
  Json json{{"domain", op.domain}, {"op", op.name}, {"supported", op.supported}};
  json["reason"] = op.supported ? Json(nullptr) : Json(op.reason);
  json["opsets"] = Json::array();
  for (const auto& [first, last] : op.opsets) json["opsets"].push_back({{"first", first}, {"last", last}});
  json["types"] = Json::object();
  for (const auto& [name, dtypes] : op.types)
    for (DType d : dtypes) json["types"][name].push_back(schema::name(d));
  json["devices"] = {{"cpu", families_of(op)}};
  return json;
}

std::string text_of(const std::vector<OpSupport>& ops) {
  std::string text = format("%-36s %-8s %-22s %s\n", "op", "opsets", "runs as", "dtypes");
  for (const OpSupport& op : ops) {
    const std::string name = op.domain == "ai.onnx" ? op.name : op.domain + "." + op.name;
    if (op.supported)
      text += format("%-36s %-8s %-22s %s\n", name.c_str(), opsets_of(op).c_str(), runs_as(op).c_str(),
                     types_of(op).c_str());
    else text += format("%-36s no%s\n", name.c_str(), op.reason.empty() ? "" : (": " + op.reason).c_str());
  }
  return text;
}

std::string markdown_of(const std::vector<OpSupport>& ops) {
  size_t standard = 0, supported = 0;
  for (const OpSupport& op : ops)
    standard += op.domain == "ai.onnx", supported += op.domain == "ai.onnx" && op.supported;
  std::string text =
      cat("# Ops\n\n"
          "What Inlay takes of ONNX. This file is the output of `inlay ops --markdown`, which converts and runs a node "
          "of each op\n"
          "for each version and dtype; a test compares it. Of ",
          standard, " ops that ONNX has or had in its own domain, ", supported,
          " are supported.\n\n"
          "- *opsets*: the versions of the domain in which models may use the op.\n"
          "- *dtypes*: of each type parameter, named nearly as ONNX does.");
  for (const Set& set : sets()) {
    std::vector<std::string> names;
    for (DType d : set.dtypes) names.emplace_back(name(d));
    text += cat(" *", set.name, "*: ", joined(names), set.name == sets().back().name ? ".\n" : ";");
  }
  text +=
      cat("- *CPU*: the families of kernels that serve the op in f32; f16 and bf16 are computed in f32 as well. Other "
          "dtypes, and what no\n"
          "  kernel takes, run on the reference, plain loops that every op has. *no step*: the result is its input in "
          "another shape, or\n"
          "  known when the model is converted. An op that is a composition of others runs as those do.\n");
  std::string domain;
  for (const OpSupport& op : ops) {
    if (!op.supported) continue;
    if (domain != op.domain) text += cat("\n## ", op.domain, "\n\n| op | opsets | dtypes | CPU |\n|---|---|---|---|\n");
    domain = op.domain;
    text += cat("| ", op.name, " | ", opsets_of(op), " | ", types_of(op), " | ", runs_as(op), " |\n");
  }
  text += "\n## Not supported\n";
  std::map<std::string, std::vector<std::string>> unknown, refused;  // by domain; by reason
  for (const OpSupport& op : ops)
    if (!op.supported)
      (op.reason.empty() ? unknown[op.domain] : refused[op.domain + ": " + op.reason]).push_back(op.name);
  if (!unknown.empty())
    text += "\nThe application can implement these itself: `inlay convert --allow-custom` keeps them.\n\n";
  for (const auto& [of, names] : unknown) text += cat("- ", of, ": ", joined(names), '\n');
  if (!refused.empty()) text += "\nThese are refused:\n\n";
  for (const auto& [why, names] : refused) text += cat("- ", joined(names), " (", why, ")\n");
  text +=
      "\n## Families of kernels\n\nThe instruction sets that each has kernels for, on x86-64.\n\n| family | "
      "instruction sets |\n|---|---|\n";
  std::vector<std::string> families;
  for (const KernelRow& row : kernel_rows()) add_once(families, row.family);
  for (const std::string& family : families) {
    std::vector<std::string> sets;
    for (const KernelRow& row : kernel_rows())
      if (row.family == family) add_once(sets, kernels::isa::name(row.isa));
    text += cat("| ", family, " | ", joined(sets), " |\n");
  }
  return text;
}

void run(const OpsArguments& arguments) {
  if (arguments.json && arguments.markdown) throw UsageError("--json and --markdown: take one of them");
  auto ops = converter::op_support();
  if (!arguments.op.empty()) std::erase_if(ops, [&](const OpSupport& op) { return op.name != arguments.op; });
  if (ops.empty()) throw UsageError(cat("there is no op '", arguments.op, "' in ONNX; names are case-sensitive"));
  if (arguments.markdown) return print(markdown_of(ops));
  if (!arguments.json) return print(text_of(ops));
  Json list = Json::array();
  for (const OpSupport& op : ops) list.push_back(to_json(op));
  print_json(list);
}
}  // namespace

void add_ops(CLI::App& command) {
  const auto arguments = std::make_shared<OpsArguments>();
  Verb verb(command, "ops", "List the ops of ONNX: versions, dtypes, and what runs them");
  verb.argument("op", arguments->op, "One op, instead of all");
  verb.json(arguments->json);
  verb.flag("--markdown", arguments->markdown, "Print the table that converter/OPS.md is");
  verb.examples("  inlay ops\n  inlay ops Conv --json");
  verb.run([arguments] { run(*arguments); });
}
}  // namespace tools
