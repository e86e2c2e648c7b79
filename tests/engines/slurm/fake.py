"""A Slurm in memory that answers the engine's commands as 22.05 or as newer ones print.

It runs nothing: tests say what becomes of its jobs, and play the batch script on disk.
"""

import json

from clusterwright.engines.slurm.commands import Done

AWAY = "squeue: error: Unable to contact slurm controller (connect failure)"


class FakeSlurm:
    """A controller with nodes, which also counts what it is asked."""

    def __init__(self, num_nodes=4, *, newer=False, address="10.0.0.{}"):
        self.newer = newer
        self.jobs = {}
        self.nodes = {
            f"n{n}": {
                "name": f"n{n}",
                "states": ["idle"],
                "reason": "",
                "address": address.format(n),
                "boot": 1000,
            }
            for n in range(1, num_nodes + 1)
        }
        self.partitions = ["batch"]
        self.asked = []
        self.refuse = ""
        self.away = False
        self.hangs = False
        self.after_sbatch = lambda: None
        self.config = "TaskPlugin = task/cgroup,task/affinity\nConstrainDevices = yes\n"

    def __call__(self, words, timeout_s, env):
        self.asked.append(tuple(words))
        if self.hangs:
            raise TimeoutError
        if self.away:
            return Done(code=1, out="", err=AWAY)
        answer = getattr(self, f"_{words[0]}")(words[1:], env)
        return answer if isinstance(answer, Done) else Done(code=0, out=answer, err="")

    def count(self, program):
        return sum(words[0] == program for words in self.asked)

    def set(self, number, *states, **more):
        self.jobs[number] |= {"states": list(states), **more}

    def _sbatch(self, words, env):
        if self.refuse:
            return Done(code=1, out="", err=f"sbatch: error: {self.refuse}")
        given = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
        number = len(self.jobs) + 1
        self.jobs[number] = {
            "states": ["PENDING"],
            "comment": given.get("comment", ""),
            "output": given.get("output", ""),
            "asked": given.get("nodelist", ""),
            "nodes": "",
            "start": 0,
            "end": 0,
            "code": 0,
            "env": dict(env),
        }
        self.after_sbatch()
        return f"{number}\n"

    def _squeue(self, words, env):
        return json.dumps({"jobs": [self._job(n) for n in self.jobs], "errors": []})

    def _job(self, number):
        job = self.jobs[number]
        plain = {
            "job_id": number,
            "comment": job["comment"],
            "nodes": job["nodes"],
            "required_nodes": job["asked"],
            "standard_output": job["output"],
            "state_reason": "Resources" if "PENDING" in job["states"] else "None",
        }
        if not self.newer:
            state = "COMPLETING" if "COMPLETING" in job["states"] else job["states"][0]
            times = {"start_time": job["start"], "end_time": job["end"]}
            return {**plain, **times, "job_state": state, "exit_code": job["code"]}

        def number_of(value):
            return {"set": bool(value), "infinite": False, "number": value}

        return {
            **plain,
            "job_state": job["states"],
            "start_time": number_of(job["start"]),
            "end_time": number_of(job["end"]),
            "exit_code": {"return_code": number_of(job["code"] >> 8)},
        }

    def _sinfo(self, words, env):
        return json.dumps({"sinfo": []} if self.newer else {"nodes": self._listed()})

    def _listed(self):
        return [
            {
                "name": node["name"],
                "state": node["states"] if self.newer else node["states"][0],
                "state_flags": [] if self.newer else node["states"][1:],
                "reason": node["reason"],
                "address": node["address"],
                "hostname": node["name"],
                "boot_time": node["boot"],
                "partitions": self.partitions,
                "cpus": 32,
                "real_memory": 1000,
                "gres": "gpu:h100:8",
            }
            for node in self.nodes.values()
        ]

    def _scontrol(self, words, env):
        if words[:2] == ("show", "config"):
            return self.config
        if words[:2] == ("show", "nodes"):
            return json.dumps({"nodes": self._listed()})
        given = dict(word.partition("=")[::2] for word in words[1:])
        node = self.nodes[given["NodeName"]]
        node["reason"] = given.get("Reason", "")
        node["states"] = ["idle", *(["DRAIN"] if given["State"] == "DRAIN" else [])]
        return ""

    def _scancel(self, words, env):
        job = self.jobs[int(words[-1])]
        signals = any(word.startswith(("--signal", "--batch")) for word in words)
        if signals:
            return ""
        if "PENDING" in job["states"]:
            job["states"] = ["CANCELLED"]
        elif "--state=PENDING" not in words and "RUNNING" in job["states"]:
            job["states"] = ["CANCELLED", "COMPLETING"]
        return ""

    def _sacct(self, words, env):
        return Done(code=1, out="", err="Slurm accounting storage is disabled")
