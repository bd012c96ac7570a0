// Sequences, optionals and strings.
#include "converter/onnx_node.h"
#include "converter/onnx_tensor.h"
#include "engine/passes/splice.h"

namespace converter {
namespace {
template <class T> void plain(OnnxNode& n) { n.finish(T{}, n.all()); }

void sequence_construct(OnnxNode& n) {
  n.expect_inputs(1, size_t(limits::ports));
  n.finish(schema::SequenceConstruct{n.dtype(0)}, n.all());
}
void sequence_empty(OnnxNode& n) {
  n.finish(schema::SequenceConstruct{n.has_attribute("dtype") ? dtype_of(int32_t(n.integer("dtype"))) : DType::f32},
           {});
}
void split_to_sequence(OnnxNode& n) {
  n.finish(schema::SplitToSequence{n.integer("axis", 0), n.flag("keepdims", true)}, n.all());
}
void concat_from_sequence(OnnxNode& n) {
  n.finish(schema::ConcatFromSequence{n.integer("axis"), n.flag("new_axis", false)}, n.all());
}

// A Loop over the positions: each output is a sequence that grows by what the body makes of the elements there.
void sequence_map(OnnxNode& n) {
  n.expect_inputs(1, size_t(limits::ports));
  const auto is_sequence = [&](size_t k) { return n.type(k).kind == ValueKind::sequence; };
  check(is_sequence(0), "input 0 must be a sequence, not ", n.type(0));
  Types elements;
  for (size_t k = 0; k < n.inputs(); ++k) elements.push_back(is_sequence(k) ? *n.type(k).element : n.type(k));
  Body body = n.body("body", elements);
  const size_t outputs = body.graph.outputs.size();

  ValueIds inputs{n.add(schema::SequenceLength{}, {n.in(0)}), ValueId::none};
  Graph step;
  const ValueId position = step.add_input("", Type::scalar(DType::i64)),
                condition = step.add_input("", Type::scalar(DType::boolean));
  ValueIds results, arguments;
  for (const GraphOutput& out : body.graph.outputs) {
    inputs.push_back(n.add(schema::SequenceConstruct{body.graph[out.value].type.dtype}, {}));
    results.push_back(step.add_input("", n.type(inputs.back())));
  }
  Rewriter rewriter(step);
  for (size_t k = 0; k < n.inputs(); ++k) {
    inputs.push_back(n.in(k));
    const ValueId whole = step.add_input("", n.type(k));
    arguments.push_back(is_sequence(k) ? rewriter.add(schema::SequenceAt{}, {whole, position}, n.origins())[0] : whole);
  }
  for (ValueId v : body.captures) {
    inputs.push_back(v);
    arguments.push_back(step.add_input("", n.type(v)));
  }
  step.outputs.push_back({"", condition});
  const ValueIds made = splice(rewriter, body.graph, arguments);
  for (size_t k = 0; k < outputs; ++k)
    step.outputs.push_back({"", rewriter.add(schema::SequenceInsert{}, {results[k], made[k]}, n.origins())[0]});
  rewriter.commit();
  const auto shared = std::make_shared<const Graph>(std::move(step));
  const ValueIds out = n.add_all(schema::Loop{int64_t(outputs)}, inputs, outputs, {shared});
  n.set_all(out);
}

void optional(OnnxNode& n) {
  n.expect_inputs(0, 1);
  const auto type = n.type_attribute("type");
  check(n.has(0) || type, "attribute type is missing");
  const Type& held = n.has(0) ? n.type(0) : *type;
  n.finish(schema::OptionalConstruct{held.kind, held.dtype}, n.all());
}

void string_split(OnnxNode& n) {
  const int64_t most = n.has_attribute("maxsplit") ? n.integer("maxsplit") : -1;
  n.finish(schema::StringSplit{n.text("delimiter", ""), most}, n.all());
}
void string_normalizer(OnnxNode& n) {
  using schema::CaseChange;
  n.ignore({"locale"});
  schema::StringNormalizer op;
  op.case_change =
      n.choice<CaseChange>("case_change_action", "NONE",
                           {{"NONE", CaseChange::none}, {"LOWER", CaseChange::lower}, {"UPPER", CaseChange::upper}});
  op.case_sensitive = n.flag("is_case_sensitive", false);
  op.stopwords = n.texts("stopwords");
  n.finish(op, n.all());
}
void regex_full_match(OnnxNode& n) { n.finish(schema::RegexFullMatch{n.text("pattern", "")}, n.all()); }
void tf_idf_vectorizer(OnnxNode& n) {
  using schema::TfIdfMode;
  schema::TfIdfVectorizer op;
  op.mode = n.choice<TfIdfMode>("mode", "", {{"TF", TfIdfMode::tf}, {"IDF", TfIdfMode::idf}, {"TFIDF", TfIdfMode::tf_idf}});
  op.min_length = n.integer("min_gram_length"), op.max_length = n.integer("max_gram_length");
  op.max_skip = n.integer("max_skip_count");
  op.counts = n.integers("ngram_counts"), op.indexes = n.integers("ngram_indexes");
  op.pool_ints = n.integers("pool_int64s"), op.pool_strings = n.texts("pool_strings");
  op.weights = n.reals("weights");
  n.finish(op, n.all());
}

constexpr Row sequence_rows[] = {{"SequenceConstruct", sequence_construct},
                                 {"SequenceEmpty", sequence_empty},
                                 {"SequenceInsert", plain<schema::SequenceInsert>},
                                 {"SequenceAt", plain<schema::SequenceAt>},
                                 {"SequenceErase", plain<schema::SequenceErase>},
                                 {"SequenceLength", plain<schema::SequenceLength>},
                                 {"SplitToSequence", split_to_sequence},
                                 {"ConcatFromSequence", concat_from_sequence},
                                 {"SequenceMap", sequence_map},
                                 {"Optional", optional},
                                 {"OptionalGetElement", plain<schema::OptionalGet>},
                                 {"OptionalHasElement", plain<schema::OptionalHas>},
                                 {"StringConcat", plain<schema::StringConcat>},
                                 {"StringSplit", string_split},
                                 {"StringNormalizer", string_normalizer},
                                 {"RegexFullMatch", regex_full_match},
                                 {"TfIdfVectorizer", tf_idf_vectorizer}};
}  // namespace

Group sequence_group() { return {onnx_domain, sequence_rows}; }
}  // namespace converter
