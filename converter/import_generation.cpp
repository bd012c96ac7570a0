// ONNX Runtime's beam and greedy search, with decoders of GPT's kind.
#include "converter/onnx_node.h"

namespace converter {
namespace {
template <bool greedy> void generate(OnnxNode& n) {
  n.expect_inputs(2, greedy ? 7 : 10);
  require(n.integer("model_type", 0) == 0, Code::unsupported, "models with an encoder are not supported");
  require(!n.has_attribute("init_decoder") && !n.has_attribute("encoder"), Code::unsupported, "a second decoder or an encoder is not supported");
  n.ignore({"vocab_size", "decoder_start_token_id"});
  schema::Generate op{n.integer("eos_token_id"), n.integer("pad_token_id")};
  op.no_repeat_ngram = n.integer("no_repeat_ngram_size", 0), op.early_stopping = n.flag("early_stopping", false), op.greedy = greedy;
  const Types declared = n.body_types("decoder");
  check(declared.size() >= 3, "the decoder has ", declared.size(), " inputs");
  op.states = int64_t(declared.size()) - 3;
  Types types(3, Type::tensor(DType::i32, {Dim::unknown(), Dim::unknown()}));
  for (size_t k = 3; k < declared.size(); ++k) {
    const Type& past = declared[k];
    check(past.is_tensor() && past.ranked && past.rank() == 5, "the decoder's input ", k, " is ", past,
          ", not [2,batch,heads,past,size]");
    require(past.dtype == DType::f32 && past.dims[2].known() && past.dims[4].known(), Code::unsupported,
            "the decoder's past ", past, " is not supported: heads and their size must be numbers");
    op.heads = past.dims[2].value(), op.head_size = past.dims[4].value();
    types.push_back(Type::tensor(DType::f32, {2, Dim::unknown(), op.heads, Dim::unknown(), op.head_size}));
  }
  Body body = n.body("decoder", types);
  // Inputs of greedy search: tokens, longest, shortest, repetition penalty, masks of the vocabulary, of the prefix, of attention.
  ValueIds inputs(10, ValueId::none);
  for (size_t k = 0; k < (greedy ? 3 : 10); ++k) inputs[k] = n.in(k);
  for (size_t k = 3; greedy && k < 7; ++k) inputs[k + 3] = n.in(k);
  inputs.insert(inputs.end(), body.captures.begin(), body.captures.end());
  require(n.outputs() <= (greedy ? 1 : 2), Code::unsupported, "the scores of all steps are not supported as output");
  n.finish(op, inputs, {std::make_shared<const Graph>(std::move(body.graph))});
}

constexpr Row generation_rows[] = {{"BeamSearch", generate<false>}, {"GreedySearch", generate<true>}};
}  // namespace

Group generation_group() { return {microsoft_domain, generation_rows}; }
}  // namespace converter
