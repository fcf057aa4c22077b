# %% A smaller, faster model, and what it cost
import prunecli

done = prunecli.compress(demo=True)  # or: prunecli.compress("path/to/model", data="rows.csv")
proof = done.record.proof
print(f"{proof.loss.points:.2f} points lost on {proof.loss.examples} examples")
print("in", done.output)

# %% Everything that was tried
runs = prunecli.runs_frame("workspace")
print(runs[["removed", "score", "drop", "model"]].to_string())
