module @step {
  func.func @main(%s0: tensor<1xf32>, %s1: tensor<1xf32>, %s2: tensor<4x32x32x3xf32>, %s3: tensor<4xi32>, %s4: tensor<75290xf32>, %s5: tensor<75290xf32>, %s6: tensor<480xf32>, %s7: tensor<75290xf32>, %s8: tensor<100x32x32x3xui8>, %s9: tensor<100xui8>, %s10: tensor<32x32x3xf32>, %s11: tensor<3xf32>, %s12: tensor<3xf32>, %rows: tensor<1x4x4xi32>, %rates: tensor<1x2xf32>) -> (tensor<56xi1>) {
    %0 = stablehlo.reshape %rows : (tensor<1x4x4xi32>) -> tensor<4x4xi32>
    %1 = stablehlo.reshape %rates : (tensor<1x2xf32>) -> tensor<2xf32>
    %2 = stablehlo.slice %0 [0:4:1, 0:1:1] : (tensor<4x4xi32>) -> tensor<4x1xi32> loc("batch/batch 32x32 p4")
    %3 = stablehlo.reshape %2 : (tensor<4x1xi32>) -> tensor<4xi32> loc("batch/batch 32x32 p4")
    %4 = stablehlo.iota dim = 1 : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %5 = stablehlo.slice %0 [0:4:1, 1:2:1] : (tensor<4x4xi32>) -> tensor<4x1xi32> loc("batch/batch 32x32 p4")
    %6 = stablehlo.reshape %5 : (tensor<4x1xi32>) -> tensor<4xi32> loc("batch/batch 32x32 p4")
    %7 = stablehlo.broadcast_in_dim %6, dims = [0] : (tensor<4xi32>) -> tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %8 = stablehlo.add %4, %7 : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %9 = stablehlo.constant dense<4> : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %10 = stablehlo.subtract %8, %9 : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %11 = stablehlo.iota dim = 2 : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %12 = stablehlo.slice %0 [0:4:1, 3:4:1] : (tensor<4x4xi32>) -> tensor<4x1xi32> loc("batch/batch 32x32 p4")
    %13 = stablehlo.reshape %12 : (tensor<4x1xi32>) -> tensor<4xi32> loc("batch/batch 32x32 p4")
    %14 = stablehlo.broadcast_in_dim %13, dims = [0] : (tensor<4xi32>) -> tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %15 = stablehlo.constant dense<0> : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %16 = stablehlo.compare NE, %14, %15, SIGNED : (tensor<4x32x32xi32>, tensor<4x32x32xi32>) -> tensor<4x32x32xi1> loc("batch/batch 32x32 p4")
    %17 = stablehlo.constant dense<31> : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %18 = stablehlo.subtract %17, %11 : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %19 = stablehlo.select %16, %18, %11 : tensor<4x32x32xi1>, tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %20 = stablehlo.slice %0 [0:4:1, 2:3:1] : (tensor<4x4xi32>) -> tensor<4x1xi32> loc("batch/batch 32x32 p4")
    %21 = stablehlo.reshape %20 : (tensor<4x1xi32>) -> tensor<4xi32> loc("batch/batch 32x32 p4")
    %22 = stablehlo.broadcast_in_dim %21, dims = [0] : (tensor<4xi32>) -> tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %23 = stablehlo.add %19, %22 : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %24 = stablehlo.constant dense<4> : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %25 = stablehlo.subtract %23, %24 : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %26 = stablehlo.constant dense<0> : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %27 = stablehlo.compare GE, %10, %26, SIGNED : (tensor<4x32x32xi32>, tensor<4x32x32xi32>) -> tensor<4x32x32xi1> loc("batch/batch 32x32 p4")
    %28 = stablehlo.constant dense<32> : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %29 = stablehlo.compare LT, %10, %28, SIGNED : (tensor<4x32x32xi32>, tensor<4x32x32xi32>) -> tensor<4x32x32xi1> loc("batch/batch 32x32 p4")
    %30 = stablehlo.and %27, %29 : tensor<4x32x32xi1> loc("batch/batch 32x32 p4")
    %31 = stablehlo.constant dense<0> : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %32 = stablehlo.compare GE, %25, %31, SIGNED : (tensor<4x32x32xi32>, tensor<4x32x32xi32>) -> tensor<4x32x32xi1> loc("batch/batch 32x32 p4")
    %33 = stablehlo.constant dense<32> : tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %34 = stablehlo.compare LT, %25, %33, SIGNED : (tensor<4x32x32xi32>, tensor<4x32x32xi32>) -> tensor<4x32x32xi1> loc("batch/batch 32x32 p4")
    %35 = stablehlo.and %32, %34 : tensor<4x32x32xi1> loc("batch/batch 32x32 p4")
    %36 = stablehlo.and %30, %35 : tensor<4x32x32xi1> loc("batch/batch 32x32 p4")
    %37 = stablehlo.reshape %10 : (tensor<4x32x32xi32>) -> tensor<4x32x32x1xi32> loc("batch/batch 32x32 p4")
    %38 = stablehlo.reshape %25 : (tensor<4x32x32xi32>) -> tensor<4x32x32x1xi32> loc("batch/batch 32x32 p4")
    %39 = stablehlo.concatenate %37, %38, dim = 3 : (tensor<4x32x32x1xi32>, tensor<4x32x32x1xi32>) -> tensor<4x32x32x2xi32> loc("batch/batch 32x32 p4")
    %40 = "stablehlo.gather"(%s10, %39) <{dimension_numbers = #stablehlo.gather<offset_dims = [3], collapsed_slice_dims = [0, 1], start_index_map = [0, 1], index_vector_dim = 3>, slice_sizes = array<i64: 1, 1, 3>}> : (tensor<32x32x3xf32>, tensor<4x32x32x2xi32>) -> tensor<4x32x32x3xf32> loc("batch/batch 32x32 p4")
    %41 = stablehlo.broadcast_in_dim %3, dims = [0] : (tensor<4xi32>) -> tensor<4x32x32xi32> loc("batch/batch 32x32 p4")
    %42 = stablehlo.reshape %41 : (tensor<4x32x32xi32>) -> tensor<4x32x32x1xi32> loc("batch/batch 32x32 p4")
    %43 = stablehlo.reshape %10 : (tensor<4x32x32xi32>) -> tensor<4x32x32x1xi32> loc("batch/batch 32x32 p4")
    %44 = stablehlo.reshape %25 : (tensor<4x32x32xi32>) -> tensor<4x32x32x1xi32> loc("batch/batch 32x32 p4")
    %45 = stablehlo.concatenate %42, %43, %44, dim = 3 : (tensor<4x32x32x1xi32>, tensor<4x32x32x1xi32>, tensor<4x32x32x1xi32>) -> tensor<4x32x32x3xi32> loc("batch/batch 32x32 p4")
    %46 = "stablehlo.gather"(%s8, %45) <{dimension_numbers = #stablehlo.gather<offset_dims = [3], collapsed_slice_dims = [0, 1, 2], start_index_map = [0, 1, 2], index_vector_dim = 3>, slice_sizes = array<i64: 1, 1, 1, 3>}> : (tensor<100x32x32x3xui8>, tensor<4x32x32x3xi32>) -> tensor<4x32x32x3xui8> loc("batch/batch 32x32 p4")
    %47 = stablehlo.convert %46 : (tensor<4x32x32x3xui8>) -> tensor<4x32x32x3xf32> loc("batch/batch 32x32 p4")
    %48 = stablehlo.subtract %47, %40 : tensor<4x32x32x3xf32> loc("batch/batch 32x32 p4")
    %49 = stablehlo.broadcast_in_dim %s11, dims = [3] : (tensor<3xf32>) -> tensor<4x32x32x3xf32> loc("batch/batch 32x32 p4")
    %50 = stablehlo.multiply %48, %49 : tensor<4x32x32x3xf32> loc("batch/batch 32x32 p4")
    %51 = stablehlo.broadcast_in_dim %36, dims = [0, 1, 2] : (tensor<4x32x32xi1>) -> tensor<4x32x32x3xi1> loc("batch/batch 32x32 p4")
    %52 = stablehlo.broadcast_in_dim %s12, dims = [3] : (tensor<3xf32>) -> tensor<4x32x32x3xf32> loc("batch/batch 32x32 p4")
    %53 = stablehlo.select %51, %50, %52 : tensor<4x32x32x3xi1>, tensor<4x32x32x3xf32> loc("batch/batch 32x32 p4")
    %54 = stablehlo.constant dense<0> : tensor<4xi32> loc("batch/batch 32x32 p4")
    %55 = stablehlo.compare LT, %3, %54, SIGNED : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi1> loc("batch/batch 32x32 p4")
    %56 = stablehlo.broadcast_in_dim %55, dims = [0] : (tensor<4xi1>) -> tensor<4x32x32x3xi1> loc("batch/batch 32x32 p4")
    %57 = stablehlo.constant dense<0.0e+00> : tensor<4x32x32x3xf32> loc("batch/batch 32x32 p4")
    %58 = stablehlo.select %56, %57, %53 : tensor<4x32x32x3xi1>, tensor<4x32x32x3xf32> loc("batch/batch 32x32 p4")
    %59 = stablehlo.reshape %3 : (tensor<4xi32>) -> tensor<4x1xi32> loc("batch/batch 32x32 p4")
    %60 = "stablehlo.gather"(%s9, %59) <{dimension_numbers = #stablehlo.gather<offset_dims = [], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1>}> : (tensor<100xui8>, tensor<4x1xi32>) -> tensor<4xui8> loc("batch/batch 32x32 p4")
    %61 = stablehlo.convert %60 : (tensor<4xui8>) -> tensor<4xi32> loc("batch/batch 32x32 p4")
    %62 = stablehlo.constant dense<-1> : tensor<4xi32> loc("batch/batch 32x32 p4")
    %63 = stablehlo.select %55, %62, %61 : tensor<4xi1>, tensor<4xi32> loc("batch/batch 32x32 p4")
    %64 = stablehlo.is_finite %58 : (tensor<4x32x32x3xf32>) -> tensor<4x32x32x3xi1>
    %65 = stablehlo.constant dense<true> : tensor<i1>
    %66 = stablehlo.reduce(%64 init: %65) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x32x32x3xi1>, tensor<i1>) -> tensor<i1>
    %67 = stablehlo.reshape %66 : (tensor<i1>) -> tensor<1xi1>
    %68 = stablehlo.slice %s4 [0:432:1] : (tensor<75290xf32>) -> tensor<432xf32>
    %69 = stablehlo.reshape %68 : (tensor<432xf32>) -> tensor<16x3x3x3xf32>
    %70 = stablehlo.is_finite %69 : (tensor<16x3x3x3xf32>) -> tensor<16x3x3x3xi1>
    %71 = stablehlo.constant dense<true> : tensor<i1>
    %72 = stablehlo.reduce(%70 init: %71) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<16x3x3x3xi1>, tensor<i1>) -> tensor<i1>
    %73 = stablehlo.reshape %72 : (tensor<i1>) -> tensor<1xi1>
    %74 = stablehlo.slice %s4 [0:432:1] : (tensor<75290xf32>) -> tensor<432xf32> loc("conv1/conv 3x3 s1 p1 ->16")
    %75 = stablehlo.reshape %74 : (tensor<432xf32>) -> tensor<16x3x3x3xf32> loc("conv1/conv 3x3 s1 p1 ->16")
    %76 = stablehlo.convolution(%58, %75) dim_numbers = [b, 0, 1, f]x[o, 0, 1, i]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<4x32x32x3xf32>, tensor<16x3x3x3xf32>) -> tensor<4x32x32x16xf32> loc("conv1/conv 3x3 s1 p1 ->16")
    %77 = stablehlo.is_finite %76 : (tensor<4x32x32x16xf32>) -> tensor<4x32x32x16xi1>
    %78 = stablehlo.constant dense<true> : tensor<i1>
    %79 = stablehlo.reduce(%77 init: %78) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x32x32x16xi1>, tensor<i1>) -> tensor<i1>
    %80 = stablehlo.reshape %79 : (tensor<i1>) -> tensor<1xi1>
    %81 = stablehlo.slice %s4 [74800:74816:1] : (tensor<75290xf32>) -> tensor<16xf32>
    %82 = stablehlo.is_finite %81 : (tensor<16xf32>) -> tensor<16xi1>
    %83 = stablehlo.constant dense<true> : tensor<i1>
    %84 = stablehlo.reduce(%82 init: %83) applies stablehlo.and across dimensions = [0] : (tensor<16xi1>, tensor<i1>) -> tensor<i1>
    %85 = stablehlo.reshape %84 : (tensor<i1>) -> tensor<1xi1>
    %86 = stablehlo.slice %s4 [74816:74832:1] : (tensor<75290xf32>) -> tensor<16xf32>
    %87 = stablehlo.is_finite %86 : (tensor<16xf32>) -> tensor<16xi1>
    %88 = stablehlo.constant dense<true> : tensor<i1>
    %89 = stablehlo.reduce(%87 init: %88) applies stablehlo.and across dimensions = [0] : (tensor<16xi1>, tensor<i1>) -> tensor<i1>
    %90 = stablehlo.reshape %89 : (tensor<i1>) -> tensor<1xi1>
    %91 = stablehlo.slice %s4 [74800:74816:1] : (tensor<75290xf32>) -> tensor<16xf32> loc("bn1/batchnorm +relu")
    %92 = stablehlo.slice %s4 [74816:74832:1] : (tensor<75290xf32>) -> tensor<16xf32> loc("bn1/batchnorm +relu")
    %93 = stablehlo.reshape %76 : (tensor<4x32x32x16xf32>) -> tensor<1x4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %94 = stablehlo.multiply %93, %93 : tensor<1x4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %95 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("bn1/batchnorm +relu")
    %96:2 = stablehlo.reduce(%93 init: %95), (%94 init: %95) across dimensions = [1, 2, 3] : (tensor<1x4x32x32x16xf32>, tensor<1x4x32x32x16xf32>, tensor<f32>, tensor<f32>) -> (tensor<1x16xf32>, tensor<1x16xf32>)
      reducer(%x: tensor<f32>, %u: tensor<f32>) (%y: tensor<f32>, %v: tensor<f32>) {
        %xu = stablehlo.add %x, %u : tensor<f32>
        %yv = stablehlo.add %y, %v : tensor<f32>
        stablehlo.return %xu, %yv : tensor<f32>, tensor<f32>
      } loc("bn1/batchnorm +relu")
    %97 = stablehlo.constant dense<2.4414063e-04> : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %98 = stablehlo.multiply %96#0, %97 : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %99 = stablehlo.constant dense<2.4414063e-04> : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %100 = stablehlo.multiply %96#1, %99 : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %101 = stablehlo.constant dense<0.0e+00> : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %102 = stablehlo.multiply %98, %98 : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %103 = stablehlo.subtract %100, %102 : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %104 = stablehlo.maximum %103, %101 : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %105 = stablehlo.constant dense<1.0e-05> : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %106 = stablehlo.add %104, %105 : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %107 = stablehlo.rsqrt %106 : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %108 = stablehlo.broadcast_in_dim %91, dims = [1] : (tensor<16xf32>) -> tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %109 = stablehlo.multiply %107, %108 : tensor<1x16xf32> loc("bn1/batchnorm +relu")
    %110 = stablehlo.broadcast_in_dim %98, dims = [0, 4] : (tensor<1x16xf32>) -> tensor<1x4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %111 = stablehlo.subtract %93, %110 : tensor<1x4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %112 = stablehlo.broadcast_in_dim %109, dims = [0, 4] : (tensor<1x16xf32>) -> tensor<1x4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %113 = stablehlo.multiply %111, %112 : tensor<1x4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %114 = stablehlo.broadcast_in_dim %92, dims = [4] : (tensor<16xf32>) -> tensor<1x4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %115 = stablehlo.add %113, %114 : tensor<1x4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %116 = stablehlo.reshape %115 : (tensor<1x4x32x32x16xf32>) -> tensor<4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %117 = stablehlo.constant dense<0.0e+00> : tensor<4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %118 = stablehlo.maximum %116, %117 : tensor<4x32x32x16xf32> loc("bn1/batchnorm +relu")
    %119 = stablehlo.is_finite %118 : (tensor<4x32x32x16xf32>) -> tensor<4x32x32x16xi1>
    %120 = stablehlo.constant dense<true> : tensor<i1>
    %121 = stablehlo.reduce(%119 init: %120) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x32x32x16xi1>, tensor<i1>) -> tensor<i1>
    %122 = stablehlo.reshape %121 : (tensor<i1>) -> tensor<1xi1>
    %123 = stablehlo.is_finite %98 : (tensor<1x16xf32>) -> tensor<1x16xi1>
    %124 = stablehlo.constant dense<true> : tensor<i1>
    %125 = stablehlo.reduce(%123 init: %124) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x16xi1>, tensor<i1>) -> tensor<i1>
    %126 = stablehlo.reshape %125 : (tensor<i1>) -> tensor<1xi1>
    %127 = stablehlo.is_finite %104 : (tensor<1x16xf32>) -> tensor<1x16xi1>
    %128 = stablehlo.constant dense<true> : tensor<i1>
    %129 = stablehlo.reduce(%127 init: %128) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x16xi1>, tensor<i1>) -> tensor<i1>
    %130 = stablehlo.reshape %129 : (tensor<i1>) -> tensor<1xi1>
    %131 = stablehlo.slice %s4 [432:2736:1] : (tensor<75290xf32>) -> tensor<2304xf32>
    %132 = stablehlo.reshape %131 : (tensor<2304xf32>) -> tensor<16x3x3x16xf32>
    %133 = stablehlo.is_finite %132 : (tensor<16x3x3x16xf32>) -> tensor<16x3x3x16xi1>
    %134 = stablehlo.constant dense<true> : tensor<i1>
    %135 = stablehlo.reduce(%133 init: %134) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<16x3x3x16xi1>, tensor<i1>) -> tensor<i1>
    %136 = stablehlo.reshape %135 : (tensor<i1>) -> tensor<1xi1>
    %137 = stablehlo.slice %s4 [432:2736:1] : (tensor<75290xf32>) -> tensor<2304xf32> loc("layer1.0.conv1/conv 3x3 s1 p1 ->16")
    %138 = stablehlo.reshape %137 : (tensor<2304xf32>) -> tensor<16x3x3x16xf32> loc("layer1.0.conv1/conv 3x3 s1 p1 ->16")
    %139 = stablehlo.convolution(%118, %138) dim_numbers = [b, 0, 1, f]x[o, 0, 1, i]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<4x32x32x16xf32>, tensor<16x3x3x16xf32>) -> tensor<4x32x32x16xf32> loc("layer1.0.conv1/conv 3x3 s1 p1 ->16")
    %140 = stablehlo.is_finite %139 : (tensor<4x32x32x16xf32>) -> tensor<4x32x32x16xi1>
    %141 = stablehlo.constant dense<true> : tensor<i1>
    %142 = stablehlo.reduce(%140 init: %141) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x32x32x16xi1>, tensor<i1>) -> tensor<i1>
    %143 = stablehlo.reshape %142 : (tensor<i1>) -> tensor<1xi1>
    %144 = stablehlo.slice %s4 [74832:74848:1] : (tensor<75290xf32>) -> tensor<16xf32>
    %145 = stablehlo.is_finite %144 : (tensor<16xf32>) -> tensor<16xi1>
    %146 = stablehlo.constant dense<true> : tensor<i1>
    %147 = stablehlo.reduce(%145 init: %146) applies stablehlo.and across dimensions = [0] : (tensor<16xi1>, tensor<i1>) -> tensor<i1>
    %148 = stablehlo.reshape %147 : (tensor<i1>) -> tensor<1xi1>
    %149 = stablehlo.slice %s4 [74848:74864:1] : (tensor<75290xf32>) -> tensor<16xf32>
    %150 = stablehlo.is_finite %149 : (tensor<16xf32>) -> tensor<16xi1>
    %151 = stablehlo.constant dense<true> : tensor<i1>
    %152 = stablehlo.reduce(%150 init: %151) applies stablehlo.and across dimensions = [0] : (tensor<16xi1>, tensor<i1>) -> tensor<i1>
    %153 = stablehlo.reshape %152 : (tensor<i1>) -> tensor<1xi1>
    %154 = stablehlo.slice %s4 [74832:74848:1] : (tensor<75290xf32>) -> tensor<16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %155 = stablehlo.slice %s4 [74848:74864:1] : (tensor<75290xf32>) -> tensor<16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %156 = stablehlo.reshape %139 : (tensor<4x32x32x16xf32>) -> tensor<1x4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %157 = stablehlo.multiply %156, %156 : tensor<1x4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %158 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("layer1.0.bn1/batchnorm +relu")
    %159:2 = stablehlo.reduce(%156 init: %158), (%157 init: %158) across dimensions = [1, 2, 3] : (tensor<1x4x32x32x16xf32>, tensor<1x4x32x32x16xf32>, tensor<f32>, tensor<f32>) -> (tensor<1x16xf32>, tensor<1x16xf32>)
      reducer(%x: tensor<f32>, %u: tensor<f32>) (%y: tensor<f32>, %v: tensor<f32>) {
        %xu = stablehlo.add %x, %u : tensor<f32>
        %yv = stablehlo.add %y, %v : tensor<f32>
        stablehlo.return %xu, %yv : tensor<f32>, tensor<f32>
      } loc("layer1.0.bn1/batchnorm +relu")
    %160 = stablehlo.constant dense<2.4414063e-04> : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %161 = stablehlo.multiply %159#0, %160 : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %162 = stablehlo.constant dense<2.4414063e-04> : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %163 = stablehlo.multiply %159#1, %162 : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %164 = stablehlo.constant dense<0.0e+00> : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %165 = stablehlo.multiply %161, %161 : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %166 = stablehlo.subtract %163, %165 : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %167 = stablehlo.maximum %166, %164 : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %168 = stablehlo.constant dense<1.0e-05> : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %169 = stablehlo.add %167, %168 : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %170 = stablehlo.rsqrt %169 : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %171 = stablehlo.broadcast_in_dim %154, dims = [1] : (tensor<16xf32>) -> tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %172 = stablehlo.multiply %170, %171 : tensor<1x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %173 = stablehlo.broadcast_in_dim %161, dims = [0, 4] : (tensor<1x16xf32>) -> tensor<1x4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %174 = stablehlo.subtract %156, %173 : tensor<1x4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %175 = stablehlo.broadcast_in_dim %172, dims = [0, 4] : (tensor<1x16xf32>) -> tensor<1x4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %176 = stablehlo.multiply %174, %175 : tensor<1x4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %177 = stablehlo.broadcast_in_dim %155, dims = [4] : (tensor<16xf32>) -> tensor<1x4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %178 = stablehlo.add %176, %177 : tensor<1x4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %179 = stablehlo.reshape %178 : (tensor<1x4x32x32x16xf32>) -> tensor<4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %180 = stablehlo.constant dense<0.0e+00> : tensor<4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %181 = stablehlo.maximum %179, %180 : tensor<4x32x32x16xf32> loc("layer1.0.bn1/batchnorm +relu")
    %182 = stablehlo.is_finite %181 : (tensor<4x32x32x16xf32>) -> tensor<4x32x32x16xi1>
    %183 = stablehlo.constant dense<true> : tensor<i1>
    %184 = stablehlo.reduce(%182 init: %183) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x32x32x16xi1>, tensor<i1>) -> tensor<i1>
    %185 = stablehlo.reshape %184 : (tensor<i1>) -> tensor<1xi1>
    %186 = stablehlo.is_finite %161 : (tensor<1x16xf32>) -> tensor<1x16xi1>
    %187 = stablehlo.constant dense<true> : tensor<i1>
    %188 = stablehlo.reduce(%186 init: %187) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x16xi1>, tensor<i1>) -> tensor<i1>
    %189 = stablehlo.reshape %188 : (tensor<i1>) -> tensor<1xi1>
    %190 = stablehlo.is_finite %167 : (tensor<1x16xf32>) -> tensor<1x16xi1>
    %191 = stablehlo.constant dense<true> : tensor<i1>
    %192 = stablehlo.reduce(%190 init: %191) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x16xi1>, tensor<i1>) -> tensor<i1>
    %193 = stablehlo.reshape %192 : (tensor<i1>) -> tensor<1xi1>
    %194 = stablehlo.slice %s4 [2736:5040:1] : (tensor<75290xf32>) -> tensor<2304xf32>
    %195 = stablehlo.reshape %194 : (tensor<2304xf32>) -> tensor<16x3x3x16xf32>
    %196 = stablehlo.is_finite %195 : (tensor<16x3x3x16xf32>) -> tensor<16x3x3x16xi1>
    %197 = stablehlo.constant dense<true> : tensor<i1>
    %198 = stablehlo.reduce(%196 init: %197) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<16x3x3x16xi1>, tensor<i1>) -> tensor<i1>
    %199 = stablehlo.reshape %198 : (tensor<i1>) -> tensor<1xi1>
    %200 = stablehlo.slice %s4 [2736:5040:1] : (tensor<75290xf32>) -> tensor<2304xf32> loc("layer1.0.conv2/conv 3x3 s1 p1 ->16")
    %201 = stablehlo.reshape %200 : (tensor<2304xf32>) -> tensor<16x3x3x16xf32> loc("layer1.0.conv2/conv 3x3 s1 p1 ->16")
    %202 = stablehlo.convolution(%181, %201) dim_numbers = [b, 0, 1, f]x[o, 0, 1, i]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<4x32x32x16xf32>, tensor<16x3x3x16xf32>) -> tensor<4x32x32x16xf32> loc("layer1.0.conv2/conv 3x3 s1 p1 ->16")
    %203 = stablehlo.is_finite %202 : (tensor<4x32x32x16xf32>) -> tensor<4x32x32x16xi1>
    %204 = stablehlo.constant dense<true> : tensor<i1>
    %205 = stablehlo.reduce(%203 init: %204) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x32x32x16xi1>, tensor<i1>) -> tensor<i1>
    %206 = stablehlo.reshape %205 : (tensor<i1>) -> tensor<1xi1>
    %207 = stablehlo.slice %s4 [74864:74880:1] : (tensor<75290xf32>) -> tensor<16xf32>
    %208 = stablehlo.is_finite %207 : (tensor<16xf32>) -> tensor<16xi1>
    %209 = stablehlo.constant dense<true> : tensor<i1>
    %210 = stablehlo.reduce(%208 init: %209) applies stablehlo.and across dimensions = [0] : (tensor<16xi1>, tensor<i1>) -> tensor<i1>
    %211 = stablehlo.reshape %210 : (tensor<i1>) -> tensor<1xi1>
    %212 = stablehlo.slice %s4 [74880:74896:1] : (tensor<75290xf32>) -> tensor<16xf32>
    %213 = stablehlo.is_finite %212 : (tensor<16xf32>) -> tensor<16xi1>
    %214 = stablehlo.constant dense<true> : tensor<i1>
    %215 = stablehlo.reduce(%213 init: %214) applies stablehlo.and across dimensions = [0] : (tensor<16xi1>, tensor<i1>) -> tensor<i1>
    %216 = stablehlo.reshape %215 : (tensor<i1>) -> tensor<1xi1>
    %217 = stablehlo.slice %s4 [74864:74880:1] : (tensor<75290xf32>) -> tensor<16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %218 = stablehlo.slice %s4 [74880:74896:1] : (tensor<75290xf32>) -> tensor<16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %219 = stablehlo.reshape %202 : (tensor<4x32x32x16xf32>) -> tensor<1x4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %220 = stablehlo.multiply %219, %219 : tensor<1x4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %221 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("layer1.0.bn2/batchnorm +relu")
    %222:2 = stablehlo.reduce(%219 init: %221), (%220 init: %221) across dimensions = [1, 2, 3] : (tensor<1x4x32x32x16xf32>, tensor<1x4x32x32x16xf32>, tensor<f32>, tensor<f32>) -> (tensor<1x16xf32>, tensor<1x16xf32>)
      reducer(%x: tensor<f32>, %u: tensor<f32>) (%y: tensor<f32>, %v: tensor<f32>) {
        %xu = stablehlo.add %x, %u : tensor<f32>
        %yv = stablehlo.add %y, %v : tensor<f32>
        stablehlo.return %xu, %yv : tensor<f32>, tensor<f32>
      } loc("layer1.0.bn2/batchnorm +relu")
    %223 = stablehlo.constant dense<2.4414063e-04> : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %224 = stablehlo.multiply %222#0, %223 : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %225 = stablehlo.constant dense<2.4414063e-04> : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %226 = stablehlo.multiply %222#1, %225 : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %227 = stablehlo.constant dense<0.0e+00> : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %228 = stablehlo.multiply %224, %224 : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %229 = stablehlo.subtract %226, %228 : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %230 = stablehlo.maximum %229, %227 : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %231 = stablehlo.constant dense<1.0e-05> : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %232 = stablehlo.add %230, %231 : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %233 = stablehlo.rsqrt %232 : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %234 = stablehlo.broadcast_in_dim %217, dims = [1] : (tensor<16xf32>) -> tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %235 = stablehlo.multiply %233, %234 : tensor<1x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %236 = stablehlo.broadcast_in_dim %224, dims = [0, 4] : (tensor<1x16xf32>) -> tensor<1x4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %237 = stablehlo.subtract %219, %236 : tensor<1x4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %238 = stablehlo.broadcast_in_dim %235, dims = [0, 4] : (tensor<1x16xf32>) -> tensor<1x4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %239 = stablehlo.multiply %237, %238 : tensor<1x4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %240 = stablehlo.broadcast_in_dim %218, dims = [4] : (tensor<16xf32>) -> tensor<1x4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %241 = stablehlo.add %239, %240 : tensor<1x4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %242 = stablehlo.reshape %241 : (tensor<1x4x32x32x16xf32>) -> tensor<4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %243 = stablehlo.constant dense<0.0e+00> : tensor<4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %244 = stablehlo.maximum %242, %243 : tensor<4x32x32x16xf32> loc("layer1.0.bn2/batchnorm +relu")
    %245 = stablehlo.is_finite %244 : (tensor<4x32x32x16xf32>) -> tensor<4x32x32x16xi1>
    %246 = stablehlo.constant dense<true> : tensor<i1>
    %247 = stablehlo.reduce(%245 init: %246) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x32x32x16xi1>, tensor<i1>) -> tensor<i1>
    %248 = stablehlo.reshape %247 : (tensor<i1>) -> tensor<1xi1>
    %249 = stablehlo.is_finite %224 : (tensor<1x16xf32>) -> tensor<1x16xi1>
    %250 = stablehlo.constant dense<true> : tensor<i1>
    %251 = stablehlo.reduce(%249 init: %250) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x16xi1>, tensor<i1>) -> tensor<i1>
    %252 = stablehlo.reshape %251 : (tensor<i1>) -> tensor<1xi1>
    %253 = stablehlo.is_finite %230 : (tensor<1x16xf32>) -> tensor<1x16xi1>
    %254 = stablehlo.constant dense<true> : tensor<i1>
    %255 = stablehlo.reduce(%253 init: %254) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x16xi1>, tensor<i1>) -> tensor<i1>
    %256 = stablehlo.reshape %255 : (tensor<i1>) -> tensor<1xi1>
    %257 = stablehlo.slice %s4 [5040:9648:1] : (tensor<75290xf32>) -> tensor<4608xf32>
    %258 = stablehlo.reshape %257 : (tensor<4608xf32>) -> tensor<32x3x3x16xf32>
    %259 = stablehlo.is_finite %258 : (tensor<32x3x3x16xf32>) -> tensor<32x3x3x16xi1>
    %260 = stablehlo.constant dense<true> : tensor<i1>
    %261 = stablehlo.reduce(%259 init: %260) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<32x3x3x16xi1>, tensor<i1>) -> tensor<i1>
    %262 = stablehlo.reshape %261 : (tensor<i1>) -> tensor<1xi1>
    %263 = stablehlo.slice %s4 [5040:9648:1] : (tensor<75290xf32>) -> tensor<4608xf32> loc("layer2.0.conv1/conv 3x3 s2 p1 ->32")
    %264 = stablehlo.reshape %263 : (tensor<4608xf32>) -> tensor<32x3x3x16xf32> loc("layer2.0.conv1/conv 3x3 s2 p1 ->32")
    %265 = stablehlo.convolution(%244, %264) dim_numbers = [b, 0, 1, f]x[o, 0, 1, i]->[b, 0, 1, f], window = {stride = [2, 2], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<4x32x32x16xf32>, tensor<32x3x3x16xf32>) -> tensor<4x16x16x32xf32> loc("layer2.0.conv1/conv 3x3 s2 p1 ->32")
    %266 = stablehlo.is_finite %265 : (tensor<4x16x16x32xf32>) -> tensor<4x16x16x32xi1>
    %267 = stablehlo.constant dense<true> : tensor<i1>
    %268 = stablehlo.reduce(%266 init: %267) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x16x16x32xi1>, tensor<i1>) -> tensor<i1>
    %269 = stablehlo.reshape %268 : (tensor<i1>) -> tensor<1xi1>
    %270 = stablehlo.slice %s4 [74896:74928:1] : (tensor<75290xf32>) -> tensor<32xf32>
    %271 = stablehlo.is_finite %270 : (tensor<32xf32>) -> tensor<32xi1>
    %272 = stablehlo.constant dense<true> : tensor<i1>
    %273 = stablehlo.reduce(%271 init: %272) applies stablehlo.and across dimensions = [0] : (tensor<32xi1>, tensor<i1>) -> tensor<i1>
    %274 = stablehlo.reshape %273 : (tensor<i1>) -> tensor<1xi1>
    %275 = stablehlo.slice %s4 [74928:74960:1] : (tensor<75290xf32>) -> tensor<32xf32>
    %276 = stablehlo.is_finite %275 : (tensor<32xf32>) -> tensor<32xi1>
    %277 = stablehlo.constant dense<true> : tensor<i1>
    %278 = stablehlo.reduce(%276 init: %277) applies stablehlo.and across dimensions = [0] : (tensor<32xi1>, tensor<i1>) -> tensor<i1>
    %279 = stablehlo.reshape %278 : (tensor<i1>) -> tensor<1xi1>
    %280 = stablehlo.slice %s4 [74896:74928:1] : (tensor<75290xf32>) -> tensor<32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %281 = stablehlo.slice %s4 [74928:74960:1] : (tensor<75290xf32>) -> tensor<32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %282 = stablehlo.reshape %265 : (tensor<4x16x16x32xf32>) -> tensor<1x4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %283 = stablehlo.multiply %282, %282 : tensor<1x4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %284 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("layer2.0.bn1/batchnorm +relu")
    %285:2 = stablehlo.reduce(%282 init: %284), (%283 init: %284) across dimensions = [1, 2, 3] : (tensor<1x4x16x16x32xf32>, tensor<1x4x16x16x32xf32>, tensor<f32>, tensor<f32>) -> (tensor<1x32xf32>, tensor<1x32xf32>)
      reducer(%x: tensor<f32>, %u: tensor<f32>) (%y: tensor<f32>, %v: tensor<f32>) {
        %xu = stablehlo.add %x, %u : tensor<f32>
        %yv = stablehlo.add %y, %v : tensor<f32>
        stablehlo.return %xu, %yv : tensor<f32>, tensor<f32>
      } loc("layer2.0.bn1/batchnorm +relu")
    %286 = stablehlo.constant dense<9.765625e-04> : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %287 = stablehlo.multiply %285#0, %286 : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %288 = stablehlo.constant dense<9.765625e-04> : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %289 = stablehlo.multiply %285#1, %288 : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %290 = stablehlo.constant dense<0.0e+00> : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %291 = stablehlo.multiply %287, %287 : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %292 = stablehlo.subtract %289, %291 : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %293 = stablehlo.maximum %292, %290 : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %294 = stablehlo.constant dense<1.0e-05> : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %295 = stablehlo.add %293, %294 : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %296 = stablehlo.rsqrt %295 : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %297 = stablehlo.broadcast_in_dim %280, dims = [1] : (tensor<32xf32>) -> tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %298 = stablehlo.multiply %296, %297 : tensor<1x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %299 = stablehlo.broadcast_in_dim %287, dims = [0, 4] : (tensor<1x32xf32>) -> tensor<1x4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %300 = stablehlo.subtract %282, %299 : tensor<1x4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %301 = stablehlo.broadcast_in_dim %298, dims = [0, 4] : (tensor<1x32xf32>) -> tensor<1x4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %302 = stablehlo.multiply %300, %301 : tensor<1x4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %303 = stablehlo.broadcast_in_dim %281, dims = [4] : (tensor<32xf32>) -> tensor<1x4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %304 = stablehlo.add %302, %303 : tensor<1x4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %305 = stablehlo.reshape %304 : (tensor<1x4x16x16x32xf32>) -> tensor<4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %306 = stablehlo.constant dense<0.0e+00> : tensor<4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %307 = stablehlo.maximum %305, %306 : tensor<4x16x16x32xf32> loc("layer2.0.bn1/batchnorm +relu")
    %308 = stablehlo.is_finite %307 : (tensor<4x16x16x32xf32>) -> tensor<4x16x16x32xi1>
    %309 = stablehlo.constant dense<true> : tensor<i1>
    %310 = stablehlo.reduce(%308 init: %309) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x16x16x32xi1>, tensor<i1>) -> tensor<i1>
    %311 = stablehlo.reshape %310 : (tensor<i1>) -> tensor<1xi1>
    %312 = stablehlo.is_finite %287 : (tensor<1x32xf32>) -> tensor<1x32xi1>
    %313 = stablehlo.constant dense<true> : tensor<i1>
    %314 = stablehlo.reduce(%312 init: %313) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x32xi1>, tensor<i1>) -> tensor<i1>
    %315 = stablehlo.reshape %314 : (tensor<i1>) -> tensor<1xi1>
    %316 = stablehlo.is_finite %293 : (tensor<1x32xf32>) -> tensor<1x32xi1>
    %317 = stablehlo.constant dense<true> : tensor<i1>
    %318 = stablehlo.reduce(%316 init: %317) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x32xi1>, tensor<i1>) -> tensor<i1>
    %319 = stablehlo.reshape %318 : (tensor<i1>) -> tensor<1xi1>
    %320 = stablehlo.slice %s4 [9648:18864:1] : (tensor<75290xf32>) -> tensor<9216xf32>
    %321 = stablehlo.reshape %320 : (tensor<9216xf32>) -> tensor<32x3x3x32xf32>
    %322 = stablehlo.is_finite %321 : (tensor<32x3x3x32xf32>) -> tensor<32x3x3x32xi1>
    %323 = stablehlo.constant dense<true> : tensor<i1>
    %324 = stablehlo.reduce(%322 init: %323) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<32x3x3x32xi1>, tensor<i1>) -> tensor<i1>
    %325 = stablehlo.reshape %324 : (tensor<i1>) -> tensor<1xi1>
    %326 = stablehlo.slice %s4 [9648:18864:1] : (tensor<75290xf32>) -> tensor<9216xf32> loc("layer2.0.conv2/conv 3x3 s1 p1 ->32")
    %327 = stablehlo.reshape %326 : (tensor<9216xf32>) -> tensor<32x3x3x32xf32> loc("layer2.0.conv2/conv 3x3 s1 p1 ->32")
    %328 = stablehlo.convolution(%307, %327) dim_numbers = [b, 0, 1, f]x[o, 0, 1, i]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<4x16x16x32xf32>, tensor<32x3x3x32xf32>) -> tensor<4x16x16x32xf32> loc("layer2.0.conv2/conv 3x3 s1 p1 ->32")
    %329 = stablehlo.is_finite %328 : (tensor<4x16x16x32xf32>) -> tensor<4x16x16x32xi1>
    %330 = stablehlo.constant dense<true> : tensor<i1>
    %331 = stablehlo.reduce(%329 init: %330) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x16x16x32xi1>, tensor<i1>) -> tensor<i1>
    %332 = stablehlo.reshape %331 : (tensor<i1>) -> tensor<1xi1>
    %333 = stablehlo.slice %s4 [74960:74992:1] : (tensor<75290xf32>) -> tensor<32xf32>
    %334 = stablehlo.is_finite %333 : (tensor<32xf32>) -> tensor<32xi1>
    %335 = stablehlo.constant dense<true> : tensor<i1>
    %336 = stablehlo.reduce(%334 init: %335) applies stablehlo.and across dimensions = [0] : (tensor<32xi1>, tensor<i1>) -> tensor<i1>
    %337 = stablehlo.reshape %336 : (tensor<i1>) -> tensor<1xi1>
    %338 = stablehlo.slice %s4 [74992:75024:1] : (tensor<75290xf32>) -> tensor<32xf32>
    %339 = stablehlo.is_finite %338 : (tensor<32xf32>) -> tensor<32xi1>
    %340 = stablehlo.constant dense<true> : tensor<i1>
    %341 = stablehlo.reduce(%339 init: %340) applies stablehlo.and across dimensions = [0] : (tensor<32xi1>, tensor<i1>) -> tensor<i1>
    %342 = stablehlo.reshape %341 : (tensor<i1>) -> tensor<1xi1>
    %343 = stablehlo.slice %s4 [74960:74992:1] : (tensor<75290xf32>) -> tensor<32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %344 = stablehlo.slice %s4 [74992:75024:1] : (tensor<75290xf32>) -> tensor<32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %345 = stablehlo.reshape %328 : (tensor<4x16x16x32xf32>) -> tensor<1x4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %346 = stablehlo.multiply %345, %345 : tensor<1x4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %347 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("layer2.0.bn2/batchnorm +relu")
    %348:2 = stablehlo.reduce(%345 init: %347), (%346 init: %347) across dimensions = [1, 2, 3] : (tensor<1x4x16x16x32xf32>, tensor<1x4x16x16x32xf32>, tensor<f32>, tensor<f32>) -> (tensor<1x32xf32>, tensor<1x32xf32>)
      reducer(%x: tensor<f32>, %u: tensor<f32>) (%y: tensor<f32>, %v: tensor<f32>) {
        %xu = stablehlo.add %x, %u : tensor<f32>
        %yv = stablehlo.add %y, %v : tensor<f32>
        stablehlo.return %xu, %yv : tensor<f32>, tensor<f32>
      } loc("layer2.0.bn2/batchnorm +relu")
    %349 = stablehlo.constant dense<9.765625e-04> : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %350 = stablehlo.multiply %348#0, %349 : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %351 = stablehlo.constant dense<9.765625e-04> : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %352 = stablehlo.multiply %348#1, %351 : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %353 = stablehlo.constant dense<0.0e+00> : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %354 = stablehlo.multiply %350, %350 : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %355 = stablehlo.subtract %352, %354 : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %356 = stablehlo.maximum %355, %353 : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %357 = stablehlo.constant dense<1.0e-05> : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %358 = stablehlo.add %356, %357 : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %359 = stablehlo.rsqrt %358 : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %360 = stablehlo.broadcast_in_dim %343, dims = [1] : (tensor<32xf32>) -> tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %361 = stablehlo.multiply %359, %360 : tensor<1x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %362 = stablehlo.broadcast_in_dim %350, dims = [0, 4] : (tensor<1x32xf32>) -> tensor<1x4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %363 = stablehlo.subtract %345, %362 : tensor<1x4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %364 = stablehlo.broadcast_in_dim %361, dims = [0, 4] : (tensor<1x32xf32>) -> tensor<1x4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %365 = stablehlo.multiply %363, %364 : tensor<1x4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %366 = stablehlo.broadcast_in_dim %344, dims = [4] : (tensor<32xf32>) -> tensor<1x4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %367 = stablehlo.add %365, %366 : tensor<1x4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %368 = stablehlo.reshape %367 : (tensor<1x4x16x16x32xf32>) -> tensor<4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %369 = stablehlo.constant dense<0.0e+00> : tensor<4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %370 = stablehlo.maximum %368, %369 : tensor<4x16x16x32xf32> loc("layer2.0.bn2/batchnorm +relu")
    %371 = stablehlo.is_finite %370 : (tensor<4x16x16x32xf32>) -> tensor<4x16x16x32xi1>
    %372 = stablehlo.constant dense<true> : tensor<i1>
    %373 = stablehlo.reduce(%371 init: %372) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x16x16x32xi1>, tensor<i1>) -> tensor<i1>
    %374 = stablehlo.reshape %373 : (tensor<i1>) -> tensor<1xi1>
    %375 = stablehlo.is_finite %350 : (tensor<1x32xf32>) -> tensor<1x32xi1>
    %376 = stablehlo.constant dense<true> : tensor<i1>
    %377 = stablehlo.reduce(%375 init: %376) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x32xi1>, tensor<i1>) -> tensor<i1>
    %378 = stablehlo.reshape %377 : (tensor<i1>) -> tensor<1xi1>
    %379 = stablehlo.is_finite %356 : (tensor<1x32xf32>) -> tensor<1x32xi1>
    %380 = stablehlo.constant dense<true> : tensor<i1>
    %381 = stablehlo.reduce(%379 init: %380) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x32xi1>, tensor<i1>) -> tensor<i1>
    %382 = stablehlo.reshape %381 : (tensor<i1>) -> tensor<1xi1>
    %383 = stablehlo.slice %s4 [18864:37296:1] : (tensor<75290xf32>) -> tensor<18432xf32>
    %384 = stablehlo.reshape %383 : (tensor<18432xf32>) -> tensor<64x3x3x32xf32>
    %385 = stablehlo.is_finite %384 : (tensor<64x3x3x32xf32>) -> tensor<64x3x3x32xi1>
    %386 = stablehlo.constant dense<true> : tensor<i1>
    %387 = stablehlo.reduce(%385 init: %386) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<64x3x3x32xi1>, tensor<i1>) -> tensor<i1>
    %388 = stablehlo.reshape %387 : (tensor<i1>) -> tensor<1xi1>
    %389 = stablehlo.slice %s4 [18864:37296:1] : (tensor<75290xf32>) -> tensor<18432xf32> loc("layer3.0.conv1/conv 3x3 s2 p1 ->64")
    %390 = stablehlo.reshape %389 : (tensor<18432xf32>) -> tensor<64x3x3x32xf32> loc("layer3.0.conv1/conv 3x3 s2 p1 ->64")
    %391 = stablehlo.convolution(%370, %390) dim_numbers = [b, 0, 1, f]x[o, 0, 1, i]->[b, 0, 1, f], window = {stride = [2, 2], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<4x16x16x32xf32>, tensor<64x3x3x32xf32>) -> tensor<4x8x8x64xf32> loc("layer3.0.conv1/conv 3x3 s2 p1 ->64")
    %392 = stablehlo.is_finite %391 : (tensor<4x8x8x64xf32>) -> tensor<4x8x8x64xi1>
    %393 = stablehlo.constant dense<true> : tensor<i1>
    %394 = stablehlo.reduce(%392 init: %393) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x8x8x64xi1>, tensor<i1>) -> tensor<i1>
    %395 = stablehlo.reshape %394 : (tensor<i1>) -> tensor<1xi1>
    %396 = stablehlo.slice %s4 [75024:75088:1] : (tensor<75290xf32>) -> tensor<64xf32>
    %397 = stablehlo.is_finite %396 : (tensor<64xf32>) -> tensor<64xi1>
    %398 = stablehlo.constant dense<true> : tensor<i1>
    %399 = stablehlo.reduce(%397 init: %398) applies stablehlo.and across dimensions = [0] : (tensor<64xi1>, tensor<i1>) -> tensor<i1>
    %400 = stablehlo.reshape %399 : (tensor<i1>) -> tensor<1xi1>
    %401 = stablehlo.slice %s4 [75088:75152:1] : (tensor<75290xf32>) -> tensor<64xf32>
    %402 = stablehlo.is_finite %401 : (tensor<64xf32>) -> tensor<64xi1>
    %403 = stablehlo.constant dense<true> : tensor<i1>
    %404 = stablehlo.reduce(%402 init: %403) applies stablehlo.and across dimensions = [0] : (tensor<64xi1>, tensor<i1>) -> tensor<i1>
    %405 = stablehlo.reshape %404 : (tensor<i1>) -> tensor<1xi1>
    %406 = stablehlo.slice %s4 [75024:75088:1] : (tensor<75290xf32>) -> tensor<64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %407 = stablehlo.slice %s4 [75088:75152:1] : (tensor<75290xf32>) -> tensor<64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %408 = stablehlo.reshape %391 : (tensor<4x8x8x64xf32>) -> tensor<1x4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %409 = stablehlo.multiply %408, %408 : tensor<1x4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %410 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("layer3.0.bn1/batchnorm +relu")
    %411:2 = stablehlo.reduce(%408 init: %410), (%409 init: %410) across dimensions = [1, 2, 3] : (tensor<1x4x8x8x64xf32>, tensor<1x4x8x8x64xf32>, tensor<f32>, tensor<f32>) -> (tensor<1x64xf32>, tensor<1x64xf32>)
      reducer(%x: tensor<f32>, %u: tensor<f32>) (%y: tensor<f32>, %v: tensor<f32>) {
        %xu = stablehlo.add %x, %u : tensor<f32>
        %yv = stablehlo.add %y, %v : tensor<f32>
        stablehlo.return %xu, %yv : tensor<f32>, tensor<f32>
      } loc("layer3.0.bn1/batchnorm +relu")
    %412 = stablehlo.constant dense<3.90625e-03> : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %413 = stablehlo.multiply %411#0, %412 : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %414 = stablehlo.constant dense<3.90625e-03> : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %415 = stablehlo.multiply %411#1, %414 : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %416 = stablehlo.constant dense<0.0e+00> : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %417 = stablehlo.multiply %413, %413 : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %418 = stablehlo.subtract %415, %417 : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %419 = stablehlo.maximum %418, %416 : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %420 = stablehlo.constant dense<1.0e-05> : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %421 = stablehlo.add %419, %420 : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %422 = stablehlo.rsqrt %421 : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %423 = stablehlo.broadcast_in_dim %406, dims = [1] : (tensor<64xf32>) -> tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %424 = stablehlo.multiply %422, %423 : tensor<1x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %425 = stablehlo.broadcast_in_dim %413, dims = [0, 4] : (tensor<1x64xf32>) -> tensor<1x4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %426 = stablehlo.subtract %408, %425 : tensor<1x4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %427 = stablehlo.broadcast_in_dim %424, dims = [0, 4] : (tensor<1x64xf32>) -> tensor<1x4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %428 = stablehlo.multiply %426, %427 : tensor<1x4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %429 = stablehlo.broadcast_in_dim %407, dims = [4] : (tensor<64xf32>) -> tensor<1x4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %430 = stablehlo.add %428, %429 : tensor<1x4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %431 = stablehlo.reshape %430 : (tensor<1x4x8x8x64xf32>) -> tensor<4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %432 = stablehlo.constant dense<0.0e+00> : tensor<4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %433 = stablehlo.maximum %431, %432 : tensor<4x8x8x64xf32> loc("layer3.0.bn1/batchnorm +relu")
    %434 = stablehlo.is_finite %433 : (tensor<4x8x8x64xf32>) -> tensor<4x8x8x64xi1>
    %435 = stablehlo.constant dense<true> : tensor<i1>
    %436 = stablehlo.reduce(%434 init: %435) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x8x8x64xi1>, tensor<i1>) -> tensor<i1>
    %437 = stablehlo.reshape %436 : (tensor<i1>) -> tensor<1xi1>
    %438 = stablehlo.is_finite %413 : (tensor<1x64xf32>) -> tensor<1x64xi1>
    %439 = stablehlo.constant dense<true> : tensor<i1>
    %440 = stablehlo.reduce(%438 init: %439) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x64xi1>, tensor<i1>) -> tensor<i1>
    %441 = stablehlo.reshape %440 : (tensor<i1>) -> tensor<1xi1>
    %442 = stablehlo.is_finite %419 : (tensor<1x64xf32>) -> tensor<1x64xi1>
    %443 = stablehlo.constant dense<true> : tensor<i1>
    %444 = stablehlo.reduce(%442 init: %443) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x64xi1>, tensor<i1>) -> tensor<i1>
    %445 = stablehlo.reshape %444 : (tensor<i1>) -> tensor<1xi1>
    %446 = stablehlo.slice %s4 [37296:74160:1] : (tensor<75290xf32>) -> tensor<36864xf32>
    %447 = stablehlo.reshape %446 : (tensor<36864xf32>) -> tensor<64x3x3x64xf32>
    %448 = stablehlo.is_finite %447 : (tensor<64x3x3x64xf32>) -> tensor<64x3x3x64xi1>
    %449 = stablehlo.constant dense<true> : tensor<i1>
    %450 = stablehlo.reduce(%448 init: %449) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<64x3x3x64xi1>, tensor<i1>) -> tensor<i1>
    %451 = stablehlo.reshape %450 : (tensor<i1>) -> tensor<1xi1>
    %452 = stablehlo.slice %s4 [37296:74160:1] : (tensor<75290xf32>) -> tensor<36864xf32> loc("layer3.0.conv2/conv 3x3 s1 p1 ->64")
    %453 = stablehlo.reshape %452 : (tensor<36864xf32>) -> tensor<64x3x3x64xf32> loc("layer3.0.conv2/conv 3x3 s1 p1 ->64")
    %454 = stablehlo.convolution(%433, %453) dim_numbers = [b, 0, 1, f]x[o, 0, 1, i]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<4x8x8x64xf32>, tensor<64x3x3x64xf32>) -> tensor<4x8x8x64xf32> loc("layer3.0.conv2/conv 3x3 s1 p1 ->64")
    %455 = stablehlo.is_finite %454 : (tensor<4x8x8x64xf32>) -> tensor<4x8x8x64xi1>
    %456 = stablehlo.constant dense<true> : tensor<i1>
    %457 = stablehlo.reduce(%455 init: %456) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x8x8x64xi1>, tensor<i1>) -> tensor<i1>
    %458 = stablehlo.reshape %457 : (tensor<i1>) -> tensor<1xi1>
    %459 = stablehlo.slice %s4 [75152:75216:1] : (tensor<75290xf32>) -> tensor<64xf32>
    %460 = stablehlo.is_finite %459 : (tensor<64xf32>) -> tensor<64xi1>
    %461 = stablehlo.constant dense<true> : tensor<i1>
    %462 = stablehlo.reduce(%460 init: %461) applies stablehlo.and across dimensions = [0] : (tensor<64xi1>, tensor<i1>) -> tensor<i1>
    %463 = stablehlo.reshape %462 : (tensor<i1>) -> tensor<1xi1>
    %464 = stablehlo.slice %s4 [75216:75280:1] : (tensor<75290xf32>) -> tensor<64xf32>
    %465 = stablehlo.is_finite %464 : (tensor<64xf32>) -> tensor<64xi1>
    %466 = stablehlo.constant dense<true> : tensor<i1>
    %467 = stablehlo.reduce(%465 init: %466) applies stablehlo.and across dimensions = [0] : (tensor<64xi1>, tensor<i1>) -> tensor<i1>
    %468 = stablehlo.reshape %467 : (tensor<i1>) -> tensor<1xi1>
    %469 = stablehlo.slice %s4 [75152:75216:1] : (tensor<75290xf32>) -> tensor<64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %470 = stablehlo.slice %s4 [75216:75280:1] : (tensor<75290xf32>) -> tensor<64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %471 = stablehlo.reshape %454 : (tensor<4x8x8x64xf32>) -> tensor<1x4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %472 = stablehlo.multiply %471, %471 : tensor<1x4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %473 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("layer3.0.bn2/batchnorm +relu")
    %474:2 = stablehlo.reduce(%471 init: %473), (%472 init: %473) across dimensions = [1, 2, 3] : (tensor<1x4x8x8x64xf32>, tensor<1x4x8x8x64xf32>, tensor<f32>, tensor<f32>) -> (tensor<1x64xf32>, tensor<1x64xf32>)
      reducer(%x: tensor<f32>, %u: tensor<f32>) (%y: tensor<f32>, %v: tensor<f32>) {
        %xu = stablehlo.add %x, %u : tensor<f32>
        %yv = stablehlo.add %y, %v : tensor<f32>
        stablehlo.return %xu, %yv : tensor<f32>, tensor<f32>
      } loc("layer3.0.bn2/batchnorm +relu")
    %475 = stablehlo.constant dense<3.90625e-03> : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %476 = stablehlo.multiply %474#0, %475 : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %477 = stablehlo.constant dense<3.90625e-03> : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %478 = stablehlo.multiply %474#1, %477 : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %479 = stablehlo.constant dense<0.0e+00> : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %480 = stablehlo.multiply %476, %476 : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %481 = stablehlo.subtract %478, %480 : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %482 = stablehlo.maximum %481, %479 : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %483 = stablehlo.constant dense<1.0e-05> : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %484 = stablehlo.add %482, %483 : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %485 = stablehlo.rsqrt %484 : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %486 = stablehlo.broadcast_in_dim %469, dims = [1] : (tensor<64xf32>) -> tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %487 = stablehlo.multiply %485, %486 : tensor<1x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %488 = stablehlo.broadcast_in_dim %476, dims = [0, 4] : (tensor<1x64xf32>) -> tensor<1x4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %489 = stablehlo.subtract %471, %488 : tensor<1x4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %490 = stablehlo.broadcast_in_dim %487, dims = [0, 4] : (tensor<1x64xf32>) -> tensor<1x4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %491 = stablehlo.multiply %489, %490 : tensor<1x4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %492 = stablehlo.broadcast_in_dim %470, dims = [4] : (tensor<64xf32>) -> tensor<1x4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %493 = stablehlo.add %491, %492 : tensor<1x4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %494 = stablehlo.reshape %493 : (tensor<1x4x8x8x64xf32>) -> tensor<4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %495 = stablehlo.constant dense<0.0e+00> : tensor<4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %496 = stablehlo.maximum %494, %495 : tensor<4x8x8x64xf32> loc("layer3.0.bn2/batchnorm +relu")
    %497 = stablehlo.is_finite %496 : (tensor<4x8x8x64xf32>) -> tensor<4x8x8x64xi1>
    %498 = stablehlo.constant dense<true> : tensor<i1>
    %499 = stablehlo.reduce(%497 init: %498) applies stablehlo.and across dimensions = [0, 1, 2, 3] : (tensor<4x8x8x64xi1>, tensor<i1>) -> tensor<i1>
    %500 = stablehlo.reshape %499 : (tensor<i1>) -> tensor<1xi1>
    %501 = stablehlo.is_finite %476 : (tensor<1x64xf32>) -> tensor<1x64xi1>
    %502 = stablehlo.constant dense<true> : tensor<i1>
    %503 = stablehlo.reduce(%501 init: %502) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x64xi1>, tensor<i1>) -> tensor<i1>
    %504 = stablehlo.reshape %503 : (tensor<i1>) -> tensor<1xi1>
    %505 = stablehlo.is_finite %482 : (tensor<1x64xf32>) -> tensor<1x64xi1>
    %506 = stablehlo.constant dense<true> : tensor<i1>
    %507 = stablehlo.reduce(%505 init: %506) applies stablehlo.and across dimensions = [0, 1] : (tensor<1x64xi1>, tensor<i1>) -> tensor<i1>
    %508 = stablehlo.reshape %507 : (tensor<i1>) -> tensor<1xi1>
    %509 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("avgpool/avgpool")
    %510 = stablehlo.reduce(%496 init: %509) applies stablehlo.add across dimensions = [1, 2] : (tensor<4x8x8x64xf32>, tensor<f32>) -> tensor<4x64xf32> loc("avgpool/avgpool")
    %511 = stablehlo.constant dense<1.5625e-02> : tensor<4x64xf32> loc("avgpool/avgpool")
    %512 = stablehlo.multiply %510, %511 : tensor<4x64xf32> loc("avgpool/avgpool")
    %513 = stablehlo.is_finite %512 : (tensor<4x64xf32>) -> tensor<4x64xi1>
    %514 = stablehlo.constant dense<true> : tensor<i1>
    %515 = stablehlo.reduce(%513 init: %514) applies stablehlo.and across dimensions = [0, 1] : (tensor<4x64xi1>, tensor<i1>) -> tensor<i1>
    %516 = stablehlo.reshape %515 : (tensor<i1>) -> tensor<1xi1>
    %517 = stablehlo.slice %s4 [74160:74800:1] : (tensor<75290xf32>) -> tensor<640xf32>
    %518 = stablehlo.reshape %517 : (tensor<640xf32>) -> tensor<10x64xf32>
    %519 = stablehlo.is_finite %518 : (tensor<10x64xf32>) -> tensor<10x64xi1>
    %520 = stablehlo.constant dense<true> : tensor<i1>
    %521 = stablehlo.reduce(%519 init: %520) applies stablehlo.and across dimensions = [0, 1] : (tensor<10x64xi1>, tensor<i1>) -> tensor<i1>
    %522 = stablehlo.reshape %521 : (tensor<i1>) -> tensor<1xi1>
    %523 = stablehlo.slice %s4 [75280:75290:1] : (tensor<75290xf32>) -> tensor<10xf32>
    %524 = stablehlo.is_finite %523 : (tensor<10xf32>) -> tensor<10xi1>
    %525 = stablehlo.constant dense<true> : tensor<i1>
    %526 = stablehlo.reduce(%524 init: %525) applies stablehlo.and across dimensions = [0] : (tensor<10xi1>, tensor<i1>) -> tensor<i1>
    %527 = stablehlo.reshape %526 : (tensor<i1>) -> tensor<1xi1>
    %528 = stablehlo.slice %s4 [74160:74800:1] : (tensor<75290xf32>) -> tensor<640xf32> loc("fc/linear ->10")
    %529 = stablehlo.reshape %528 : (tensor<640xf32>) -> tensor<10x64xf32> loc("fc/linear ->10")
    %530 = stablehlo.slice %s4 [75280:75290:1] : (tensor<75290xf32>) -> tensor<10xf32> loc("fc/linear ->10")
    %531 = stablehlo.dot_general %512, %529, contracting_dims = [1] x [1], precision = [HIGHEST, HIGHEST] : (tensor<4x64xf32>, tensor<10x64xf32>) -> tensor<4x10xf32> loc("fc/linear ->10")
    %532 = stablehlo.broadcast_in_dim %530, dims = [1] : (tensor<10xf32>) -> tensor<4x10xf32> loc("fc/linear ->10")
    %533 = stablehlo.add %531, %532 : tensor<4x10xf32> loc("fc/linear ->10")
    %534 = stablehlo.is_finite %533 : (tensor<4x10xf32>) -> tensor<4x10xi1>
    %535 = stablehlo.constant dense<true> : tensor<i1>
    %536 = stablehlo.reduce(%534 init: %535) applies stablehlo.and across dimensions = [0, 1] : (tensor<4x10xi1>, tensor<i1>) -> tensor<i1>
    %537 = stablehlo.reshape %536 : (tensor<i1>) -> tensor<1xi1>
    %538 = stablehlo.constant dense<0xFF800000> : tensor<f32> loc("loss/cross entropy")
    %539 = stablehlo.reduce(%533 init: %538) applies stablehlo.maximum across dimensions = [1] : (tensor<4x10xf32>, tensor<f32>) -> tensor<4xf32> loc("loss/cross entropy")
    %540 = stablehlo.broadcast_in_dim %539, dims = [0] : (tensor<4xf32>) -> tensor<4x10xf32> loc("loss/cross entropy")
    %541 = stablehlo.subtract %533, %540 : tensor<4x10xf32> loc("loss/cross entropy")
    %542 = stablehlo.exponential %541 : tensor<4x10xf32> loc("loss/cross entropy")
    %543 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("loss/cross entropy")
    %544 = stablehlo.reduce(%542 init: %543) applies stablehlo.add across dimensions = [1] : (tensor<4x10xf32>, tensor<f32>) -> tensor<4xf32> loc("loss/cross entropy")
    %545 = stablehlo.constant dense<0> : tensor<4xi32> loc("loss/cross entropy")
    %546 = stablehlo.compare GE, %63, %545, SIGNED : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi1> loc("loss/cross entropy")
    %547 = stablehlo.convert %546 : (tensor<4xi1>) -> tensor<4xf32> loc("loss/cross entropy")
    %548 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("loss/cross entropy")
    %549 = stablehlo.reduce(%547 init: %548) applies stablehlo.add across dimensions = [0] : (tensor<4xf32>, tensor<f32>) -> tensor<f32> loc("loss/cross entropy")
    %550 = stablehlo.constant dense<1.0e+00> : tensor<f32> loc("loss/cross entropy")
    %551 = stablehlo.maximum %549, %550 : tensor<f32> loc("loss/cross entropy")
    %552 = stablehlo.iota dim = 1 : tensor<4x10xi32> loc("loss/cross entropy")
    %553 = stablehlo.broadcast_in_dim %63, dims = [0] : (tensor<4xi32>) -> tensor<4x10xi32> loc("loss/cross entropy")
    %554 = stablehlo.constant dense<0.0e+00> : tensor<4xf32> loc("loss/cross entropy")
    %555 = stablehlo.compare EQ, %552, %553, SIGNED : (tensor<4x10xi32>, tensor<4x10xi32>) -> tensor<4x10xi1> loc("loss/cross entropy")
    %556 = stablehlo.constant dense<0.0e+00> : tensor<4x10xf32> loc("loss/cross entropy")
    %557 = stablehlo.select %555, %533, %556 : tensor<4x10xi1>, tensor<4x10xf32> loc("loss/cross entropy")
    %558 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("loss/cross entropy")
    %559 = stablehlo.reduce(%557 init: %558) applies stablehlo.add across dimensions = [1] : (tensor<4x10xf32>, tensor<f32>) -> tensor<4xf32> loc("loss/cross entropy")
    %560 = stablehlo.log %544 : tensor<4xf32> loc("loss/cross entropy")
    %561 = stablehlo.add %560, %539 : tensor<4xf32> loc("loss/cross entropy")
    %562 = stablehlo.subtract %561, %559 : tensor<4xf32> loc("loss/cross entropy")
    %563 = stablehlo.select %546, %562, %554 : tensor<4xi1>, tensor<4xf32> loc("loss/cross entropy")
    %564 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("loss/cross entropy")
    %565 = stablehlo.reduce(%563 init: %564) applies stablehlo.add across dimensions = [0] : (tensor<4xf32>, tensor<f32>) -> tensor<f32> loc("loss/cross entropy")
    %566 = stablehlo.divide %565, %551 : tensor<f32> loc("loss/cross entropy")
    %567 = stablehlo.broadcast_in_dim %559, dims = [0] : (tensor<4xf32>) -> tensor<4x10xf32> loc("loss/cross entropy")
    %568 = stablehlo.compare EQ, %533, %567, FLOAT : (tensor<4x10xf32>, tensor<4x10xf32>) -> tensor<4x10xi1> loc("loss/cross entropy")
    %569 = stablehlo.compare LT, %552, %553, SIGNED : (tensor<4x10xi32>, tensor<4x10xi32>) -> tensor<4x10xi1> loc("loss/cross entropy")
    %570 = stablehlo.and %568, %569 : tensor<4x10xi1> loc("loss/cross entropy")
    %571 = stablehlo.compare GT, %533, %567, FLOAT : (tensor<4x10xf32>, tensor<4x10xf32>) -> tensor<4x10xi1> loc("loss/cross entropy")
    %572 = stablehlo.or %571, %570 : tensor<4x10xi1> loc("loss/cross entropy")
    %573 = stablehlo.constant dense<false> : tensor<i1> loc("loss/cross entropy")
    %574 = stablehlo.reduce(%572 init: %573) applies stablehlo.or across dimensions = [1] : (tensor<4x10xi1>, tensor<i1>) -> tensor<4xi1> loc("loss/cross entropy")
    %575 = stablehlo.and %574, %546 : tensor<4xi1> loc("loss/cross entropy")
    %576 = stablehlo.convert %575 : (tensor<4xi1>) -> tensor<4xf32> loc("loss/cross entropy")
    %577 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc("loss/cross entropy")
    %578 = stablehlo.reduce(%576 init: %577) applies stablehlo.add across dimensions = [0] : (tensor<4xf32>, tensor<f32>) -> tensor<f32> loc("loss/cross entropy")
    %579 = stablehlo.reshape %566 : (tensor<f32>) -> tensor<1xf32> loc("loss/cross entropy")
    %580 = stablehlo.reshape %578 : (tensor<f32>) -> tensor<1xf32> loc("loss/cross entropy")
    %581 = stablehlo.is_finite %579 : (tensor<1xf32>) -> tensor<1xi1>
    %582 = stablehlo.constant dense<true> : tensor<i1>
    %583 = stablehlo.reduce(%581 init: %582) applies stablehlo.and across dimensions = [0] : (tensor<1xi1>, tensor<i1>) -> tensor<i1>
    %584 = stablehlo.reshape %583 : (tensor<i1>) -> tensor<1xi1>
    %585 = stablehlo.is_finite %580 : (tensor<1xf32>) -> tensor<1xi1>
    %586 = stablehlo.constant dense<true> : tensor<i1>
    %587 = stablehlo.reduce(%585 init: %586) applies stablehlo.and across dimensions = [0] : (tensor<1xi1>, tensor<i1>) -> tensor<i1>
    %588 = stablehlo.reshape %587 : (tensor<i1>) -> tensor<1xi1>
    %589 = stablehlo.concatenate %67, %73, %80, %85, %90, %122, %126, %130, %136, %143, %148, %153, %185, %189, %193, %199, %206, %211, %216, %248, %252, %256, %262, %269, %274, %279, %311, %315, %319, %325, %332, %337, %342, %374, %378, %382, %388, %395, %400, %405, %437, %441, %445, %451, %458, %463, %468, %500, %504, %508, %516, %522, %527, %537, %584, %588, dim = 0 : (tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>, tensor<1xi1>) -> tensor<56xi1>
    return %589 : tensor<56xi1>
  }
}
