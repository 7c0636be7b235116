// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

/**
 * Adam and AdamW: {@link Update#adam}, {@link Update#adamW}. With {@code t} the number of a tensor's steps, this one
 * counted, and {@code wd} the weight decay:
 *
 * <pre>
 * p *= 1 - lr · wd                (decoupled)
 * g += wd · p                     (not decoupled)
 * m += (g - m) · (1 - β1)
 * v  = β2 · v + (1 - β2) · g²
 * p -= lr / (1 - β1ᵗ) · m / (√v / √(1 - β2ᵗ) + ε)
 * </pre>
 *
 * <p>{@code β1ᵗ} and {@code β2ᵗ} are products of the betas of the tensor's steps, in double, so that betas may change.
 *
 * @param learningRate {@code lr}, 0 or more
 * @param beta1 {@code β1}, at least 0 and below 1
 * @param beta2 {@code β2}, at least 0 and below 1
 * @param epsilon {@code ε}, 0 or more
 * @param weightDecay {@code wd}, 0 or more
 * @param decoupled true for AdamW
 * @param zeroesGradients see {@link Update#zeroesGradients}
 * @param masterWeights see {@link Update#masterWeights}
 */
public record AdamUpdate(
        double learningRate,
        double beta1,
        double beta2,
        double epsilon,
        double weightDecay,
        boolean decoupled,
        boolean zeroesGradients,
        boolean masterWeights)
        implements Update {
    /** Checks each number. */
    public AdamUpdate {
        Update.requireNotNegative("learningRate", learningRate);
        requireBeta("beta1", beta1);
        requireBeta("beta2", beta2);
        Update.requireNotNegative("epsilon", epsilon);
        Update.requireNotNegative("weightDecay", weightDecay);
    }

    private static void requireBeta(String what, double value) {
        if (!(value >= 0 && value < 1)) {
            throw new IllegalArgumentException(what + " must be at least 0 and below 1, but is " + value);
        }
    }

    @Override
    public AdamUpdate withLearningRate(double rate) {
        return new AdamUpdate(rate, beta1, beta2, epsilon, weightDecay, decoupled, zeroesGradients, masterWeights);
    }

    /** This update with other betas. */
    public AdamUpdate withBetas(double first, double second) {
        return new AdamUpdate(
                learningRate, first, second, epsilon, weightDecay, decoupled, zeroesGradients, masterWeights);
    }

    /** This update with another epsilon. */
    public AdamUpdate withEpsilon(double value) {
        return new AdamUpdate(
                learningRate, beta1, beta2, value, weightDecay, decoupled, zeroesGradients, masterWeights);
    }

    /** This update with weight decay {@code wd}. */
    public AdamUpdate withWeightDecay(double value) {
        return new AdamUpdate(learningRate, beta1, beta2, epsilon, value, decoupled, zeroesGradients, masterWeights);
    }

    @Override
    public AdamUpdate zeroingGradients() {
        return new AdamUpdate(learningRate, beta1, beta2, epsilon, weightDecay, decoupled, true, masterWeights);
    }

    @Override
    public AdamUpdate withMasterWeights() {
        return new AdamUpdate(learningRate, beta1, beta2, epsilon, weightDecay, decoupled, zeroesGradients, true);
    }
}
