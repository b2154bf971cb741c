defmodule Mix.Tasks.Mixpack.Answer do
  @moduledoc false
  use Mix.Task

  @tasks ~w(phx.server phx.digest phx.digest.clean phoenix.server phoenix.digest
           phoenix.digest.clean assets.deploy ecto.migrate)

  @impl true
  def run([path]) do
    # Already done when this follows `compile` in the same VM.
    Mix.Task.run("deps.loadpaths", ["--no-compile", "--no-deps-check"])
    config = Mix.Project.config()
    aliases = for {name, _} <- config[:aliases] || [], do: to_string(name)
    releases = config[:releases] || []

    answers =
      for(name <- @tasks, name in aliases or Mix.Task.get(name), do: {"task", name}) ++
        for({name, _} <- releases, do: {"release", name}) ++
        for(name <- List.wrap(config[:default_release]), do: {"default_release", name})

    path_deps =
      if function_exported?(Mix.Project, :deps_scms, 0) do
        for {name, Mix.SCM.Path} <- Mix.Project.deps_scms(), do: {"path_dep", name}
      else
        []
      end

    app = if Mix.Project.umbrella?(), do: [], else: [{"app", config[:app]}]
    File.write!(path, for({key, value} <- answers ++ path_deps ++ app, do: "#{key}\t#{value}\n"))
  end
end

defmodule Mix.Tasks.Mixpack.Executables do
  @moduledoc false
  use Mix.Task

  # What a hook fetches and removes again could never be kept. With `--if-missing` each task looks
  # at the version of what is there.
  @impl true
  def run([]) do
    for name <- ~w(esbuild tailwind sass bun), Mix.Task.get(name <> ".install") do
      Mix.Task.run(name <> ".install", ["--if-missing"])
    end
  rescue
    # The hook will say so itself, if it needs them.
    error -> Mix.shell().error(Exception.message(error))
  end
end
