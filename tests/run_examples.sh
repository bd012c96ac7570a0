# Sourced by package.sh: each example, run.
run two_models_cpp "$model" "$model"
run asynchronous_cpp "$model"
run inspect_c "$model"
# Any bytes make a picture; the command's answer for it is the same.
{ printf 'P6 70 60 255\n'; head -c 12600 "$source/tools/demo/demo.onnx"; } > "$work/picture.ppm"
labels=$source/tools/demo/labels.txt
run classify_cpp "$model" "$work/picture.ppm" "$labels" | tee "$work/answer"
"$root/usr/bin/inlay" run "$model" -i "$work/picture.ppm" --labels "$labels" --top 1 > "$work/expected"
[ "$(awk 'NR == 2 { print $1, $2 }' "$work/answer")" = "$(awk '$1 == "1." { print $2, $3 }' "$work/expected")" ] || fail "classify: $(cat "$work/expected")"
silero=$source/../shared/models/silero_vad_v5/model.onnx
if [ -e "$silero" ]; then
  "$root/usr/bin/inlay" convert "$silero" -o "$work/vad.inlay" --state state=stateN 2> /dev/null
  head -c 65536 /dev/zero | run stream_vad_cpp "$work/vad.inlay" | tail -n 2
else
  echo "skipped: stream_vad, whose model is not here"
fi
# Tokens behind a longer prompt are those that follow the shorter one.
llama=$source/../shared/models/llama_gqa_tiny/model.onnx
if [ -e "$llama" ]; then
  "$root/usr/bin/inlay" convert "$llama" -o "$work/llama.inlay" --state 'past_key_values.*=present.*' \
    --bound past_sequence_length=63 --bound total_sequence_length=64 2> /dev/null
  run generate_cpp "$work/llama.inlay" 20 1 450 7483 | tail -n 1 | tee "$work/answer"
  run generate_cpp "$work/llama.inlay" 8 1 450 7483 $(cut -d ' ' -f 1-12 "$work/answer") | tail -n 1 | tee "$work/rest"
  [ "$(cut -d ' ' -f 13- "$work/answer")" = "$(cat "$work/rest")" ] || fail "generate"
else
  echo "skipped: generate, whose model is not here"
fi
protoc --encode=onnx.ModelProto -I "$source/schema" onnx.proto < "$source/tools/examples/custom_op.txtpb" > "$work/custom_op.onnx"
"$root/usr/bin/inlay" convert "$work/custom_op.onnx" -o "$work/custom_op.inlay" --allow-custom 2> /dev/null
run custom_op_c "$work/custom_op.inlay" | tee "$work/answer"
grep -qx -- '-0 -0.25 -1' "$work/answer" || fail "custom_op"
