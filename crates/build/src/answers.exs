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

    app = if Mix.Project.umbrella?(), do: [], else: [{"app", config[:app]}]
    File.write!(path, for({key, value} <- answers ++ app, do: "#{key}\t#{value}\n"))
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

defmodule Mix.Tasks.Mixpack.Session do
  @moduledoc false
  use Mix.Task

  @impl true
  def run([folder, builder]), do: loop(folder, builder, 1)

  defp loop(folder, builder, number) do
    case command(Path.join(folder, "#{number}"), builder) do
      [] ->
        :ok

      [mark | tasks] ->
        # A task that an earlier command ran has to run again: files may have changed since.
        Mix.Task.clear()

        for line <- tasks do
          [task | args] = String.split(line, "\t")
          Mix.Task.run(task, args)
        end

        IO.puts(mark)
        IO.puts(:stderr, mark)
        loop(folder, builder, number + 1)
    end
  end

  defp command(path, builder) do
    cond do
      File.exists?(path) -> path |> File.read!() |> String.split("\n", trim: true)
      # Nobody is left to send one.
      not File.exists?("/proc/" <> builder) -> []
      true -> :timer.sleep(5) && command(path, builder)
    end
  end
end
