// Imported before all else where a runtime takes float16 as bits only: ONNX Runtime's Node binding (1.30) copies nothing from
// and to a Float16Array ("not enough space"), but its JavaScript insists on one where there is such a thing, from Node 24 on.

delete globalThis.Float16Array;
