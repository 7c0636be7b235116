// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks.nd4j;

import dev.gradclip.benchmarks.FloatContender;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.factory.Nd4j;

/**
 * ND4J's native operations {@code clip_by_global_norm}, which its Java API does not name, {@code clipbynorm} and {@code
 * clipbyvalue}, in place.
 */
public final class Nd4jContender implements FloatContender {
    private INDArray[] gradients = {};

    /** The gradients, and the norm. */
    private INDArray[] results = {};

    @Override
    public String name() {
        return "ND4J";
    }

    @Override
    public void bind(int[] lengths) {
        gradients = new INDArray[lengths.length];
        for (int i = 0; i < lengths.length; i++) gradients[i] = Nd4j.create(DataType.FLOAT, lengths[i]);
        results = Arrays.copyOf(gradients, lengths.length + 1);
        results[lengths.length] = Nd4j.scalar(0f);
    }

    @Override
    public FloatBuffer gradient(int tensor) {
        return gradients[tensor].data().asNioFloat();
    }

    @Override
    public double globalNorm() {
        double sum = 0;
        for (INDArray gradient : gradients) {
            double norm = gradient.norm2Number().doubleValue();
            sum += norm * norm;
        }
        return Math.sqrt(sum);
    }

    @Override
    public double clipByGlobalNorm(double maxNorm) {
        Nd4j.exec(DynamicCustomOp.builder("clip_by_global_norm")
                .addInputs(gradients)
                .addOutputs(results)
                .addFloatingPointArguments(maxNorm)
                .build());
        return results[gradients.length].getDouble(0);
    }

    @Override
    public void clipPerTensorNorm(double maxNorm) {
        inPlace("clipbynorm", maxNorm);
    }

    @Override
    public void clipByValue(double limit) {
        inPlace("clipbyvalue", -limit, limit);
    }

    private void inPlace(String operation, Double... arguments) {
        for (INDArray gradient : gradients) {
            Nd4j.exec(DynamicCustomOp.builder(operation)
                    .addInputs(gradient)
                    .callInplace(true)
                    .addFloatingPointArguments(arguments)
                    .build());
        }
    }

    @Override
    public String openMpLibrary() {
        return "libnd4jcpu.so";
    }

    @Override
    public void close() {
        for (INDArray gradient : gradients) gradient.close();
        gradients = new INDArray[0];
    }
}
