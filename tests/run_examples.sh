# Sourced by package.sh: each example, run.
run two_models_cpp "$model" "$model"
run asynchronous_cpp "$model"
silero=$source/../shared/models/silero_vad_v5/model.onnx
if [ -e "$silero" ]; then
  "$root/usr/bin/inlay" convert "$silero" -o "$work/vad.inlay" --state state=stateN 2> /dev/null
  head -c 65536 /dev/zero | run stream_vad_cpp "$work/vad.inlay" | tail -n 2
else
  echo "skipped: stream_vad, whose model is not here"
fi
