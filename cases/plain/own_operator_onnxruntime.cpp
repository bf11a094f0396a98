// Squareplus for ONNX Runtime: the node that `own_operator.py` translates the operator to.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#include <onnxruntime_lite_custom_op.h>

#include <cmath>
#include <cstdint>
#include <memory>

namespace {

struct Squareplus {
  float b;

  Squareplus(const OrtApi* /*api*/, const OrtKernelInfo* info)
      : b(Ort::ConstKernelInfo(info).GetAttribute<float>("b")) {}

  void Compute(const Ort::Custom::Tensor<float>& x, Ort::Custom::Tensor<float>& y) {
    const float* in = x.Data();
    float* out = y.Allocate(x.Shape());
    for (std::int64_t i = 0; i < x.NumberOfElement(); ++i) {
      out[i] = (in[i] + std::sqrt(in[i] * in[i] + b)) / 2;
    }
  }
};

}  // namespace

extern "C" OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base) {
  Ort::InitApi(base->GetApi(ORT_API_VERSION));
  // They live as long as the library: sessions keep references.
  static const std::unique_ptr<Ort::Custom::OrtLiteCustomOp> squareplus{
      Ort::Custom::CreateLiteCustomOp<Squareplus>("Squareplus", "CPUExecutionProvider")};
  static const Ort::CustomOpDomain domain = [] {
    Ort::CustomOpDomain made("own_operator");
    made.Add(squareplus.get());
    return made;
  }();
  try {
    Ort::UnownedSessionOptions(options).Add(domain);
  } catch (const Ort::Exception& error) {
    return Ort::GetApi().CreateStatus(error.GetOrtErrorCode(), error.what());
  }
  return nullptr;
}
