// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * Stochastic gradient descent: {@link Update#sgd}. With {@code wd} the weight decay, {@code μ} the momentum and {@code
 * τ} the dampening:
 *
 * <pre>
 * g += wd · p
 * b  = μ · b + (1 - τ) · g        (b = g at a tensor's first step)
 * p -= lr · (nesterov ? g + μ · b : b)
 * </pre>
 *
 * @param learningRate {@code lr}, 0 or more
 * @param momentum {@code μ}, 0 or more; with 0 there is no {@code b}, and {@code p -= lr · g}
 * @param dampening {@code τ}
 * @param nesterov true for Nesterov's momentum
 * @param weightDecay {@code wd}, 0 or more
 * @param zeroesGradients see {@link Update#zeroesGradients}
 * @param masterWeights see {@link Update#masterWeights}
 */
public record SgdUpdate(
        double learningRate,
        double momentum,
        double dampening,
        boolean nesterov,
        double weightDecay,
        boolean zeroesGradients,
        boolean masterWeights)
        implements Update {
    /** Checks each number. */
    public SgdUpdate {
        Update.requireNotNegative("learningRate", learningRate);
        Update.requireNotNegative("momentum", momentum);
        Update.requireNotNegative("weightDecay", weightDecay);
        if (!Double.isFinite(dampening)) {
            throw new IllegalArgumentException("dampening must be finite, but is " + dampening);
        }
        if (nesterov && (momentum == 0 || dampening != 0)) {
            throw new IllegalArgumentException(
                    "Nesterov's momentum needs a momentum above 0 and a dampening of 0, but they are " + momentum
                            + " and " + dampening);
        }
    }

    @Override
    public SgdUpdate withLearningRate(double rate) {
        return new SgdUpdate(rate, momentum, dampening, nesterov, weightDecay, zeroesGradients, masterWeights);
    }

    /** This update with momentum {@code μ}. */
    public SgdUpdate withMomentum(double value) {
        return new SgdUpdate(learningRate, value, dampening, nesterov, weightDecay, zeroesGradients, masterWeights);
    }

    /** This update with dampening {@code τ}. */
    public SgdUpdate withDampening(double value) {
        return new SgdUpdate(learningRate, momentum, value, nesterov, weightDecay, zeroesGradients, masterWeights);
    }

    /** This update with Nesterov's momentum. */
    public SgdUpdate withNesterov() {
        return new SgdUpdate(learningRate, momentum, dampening, true, weightDecay, zeroesGradients, masterWeights);
    }

    /** This update with weight decay {@code wd}. */
    public SgdUpdate withWeightDecay(double value) {
        return new SgdUpdate(learningRate, momentum, dampening, nesterov, value, zeroesGradients, masterWeights);
    }

    @Override
    public SgdUpdate zeroingGradients() {
        return new SgdUpdate(learningRate, momentum, dampening, nesterov, weightDecay, true, masterWeights);
    }

    @Override
    public SgdUpdate withMasterWeights() {
        return new SgdUpdate(learningRate, momentum, dampening, nesterov, weightDecay, zeroesGradients, true);
    }
}
